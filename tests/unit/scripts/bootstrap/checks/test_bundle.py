"""The kit's folder, and the port in cluster.toml."""

from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bootstrap.checks.bundle import age_note, check_port, kit_folder

SUM = "e" * 64


def test_a_kit_is_named_after_its_revision_and_after_its_content_where_that_differs() -> None:
    assert kit_folder("a" * 40, SUM) == Path("/opt/wanwu/kit-aaaaaaaaaaaa")
    assert kit_folder("a" * 40 + "-dirty", SUM) == Path("/opt/wanwu/kit-aaaaaaaaaaaa-dirty-eeeeeeee")
    for odd in ("", "../..", "a b"):
        assert kit_folder(odd, SUM) == Path("/opt/wanwu/kit-eeeeeeeeeeee")


def test_a_bundle_older_than_that_whose_kit_serves_is_noted() -> None:
    older, newer = "2026-11-02T08:00:00+00:00", "2026-11-20T08:00:00+00:00"
    assert age_note(newer, older) == age_note(newer, newer) == age_note(older, "") == ""
    assert age_note(older, newer).startswith(f"found a bundle of {older}, older than that of {newer} whose kit serves")


def test_a_port_that_swarm_needs_is_refused() -> None:
    assert check_port(8080, "c.toml") == 8080
    with pytest.raises(CommandError, match=r"^c\.toml: port: found 2377, which Docker Swarm uses: choose another$"):
        check_port(2377, "c.toml")
