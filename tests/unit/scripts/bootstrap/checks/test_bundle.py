"""The kit's folder, and the port in cluster.toml."""

from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bootstrap.checks.bundle import DEFAULT_PORT, gateway_port, kit_folder
from scripts.cluster.schema import SCHEMA

SUM = "e" * 64


def test_a_kit_is_named_after_its_revision_and_after_its_content_where_that_differs() -> None:
    assert kit_folder("a" * 40, SUM) == Path("/opt/wanwu/kit-aaaaaaaaaaaa")
    assert kit_folder("a" * 40 + "-dirty", SUM) == Path("/opt/wanwu/kit-aaaaaaaaaaaa-dirty-eeeeeeee")
    for odd in ("", "../..", "a b"):
        assert kit_folder(odd, SUM) == Path("/opt/wanwu/kit-eeeeeeeeeeee")


@pytest.mark.parametrize(
    "line", ["port = 9001", "port=9_001 # the gateway's", '\t"port"  =  9001\r', "'port' = 9001", "a = 1\nport = 9001"]
)
def test_the_port_is_read_however_it_is_written(line: str) -> None:
    assert gateway_port(f"# port = 1\n{line}\n[[models]]\nport = 2\n", "c.toml") == 9001


def test_a_file_that_names_no_port_means_the_schemas() -> None:
    assert gateway_port('# port = 1\nengine = "auto"\n[[models]]\nport = 2\n', "c.toml") == DEFAULT_PORT
    assert SCHEMA[""]["port"].default == DEFAULT_PORT


@pytest.mark.parametrize("port", ["0", "08", "65536", "-1", '"80"', "0x50", "80.0", "9999999999"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(CommandError) as refusal:
        gateway_port(f"port = {port}  # a comment\n", "c.toml")
    assert str(refusal.value) == f"c.toml: port: found {port}, needed a port from 1 to 65535: correct it there"


def test_a_port_that_swarm_needs_is_refused() -> None:
    with pytest.raises(CommandError, match=r"^c\.toml: port: found 2377, which Docker Swarm uses: choose another$"):
        gateway_port("port = 2377", "c.toml")
