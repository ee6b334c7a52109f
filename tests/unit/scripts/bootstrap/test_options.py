"""The command line of init-server.sh."""

from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bootstrap.options import FLAGS, parse
from scripts.cluster.config import ROOT

NEEDED = ("--bundle", "B", "--models", "M")


def fault(*arguments: str) -> str:
    with pytest.raises(CommandError) as refusal:
        parse("init-server.sh", arguments)
    return str(refusal.value)


def test_every_flag_sets_its_option() -> None:
    options = parse("init-server.sh", [*NEEDED, "--first", "--gpu", "none", "--address", "10.0.0.1", "--dry-run"])
    assert (options.bundle, options.models, options.gpu, options.address) == ("B", "M", "none", "10.0.0.1")
    assert (options.first, options.dry_run, options.uninstall) == (True, True, False)
    assert parse("init-server.sh", ["--uninstall"]).uninstall


def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    manual = "see init-server.sh --help"
    assert fault("--fast") == f"unknown argument --fast: {manual}"
    assert fault("--bundle") == f"found --bundle without a value: {manual}"
    assert fault("--first") == f"needed --bundle DIR and --models SOURCE: {manual}"
    assert fault("--gpu", "some") == "--gpu: found some, needed auto or none"
    assert fault(*NEEDED, "--first", "--join-file", "-") == (
        "found --first and --join-file, needed one of them: only one server creates the swarm"
    )
    missing = tmp_path / "none.toml"
    assert fault(*NEEDED, "--cluster", str(missing)) == (
        f"--cluster: found no {missing} that can be read, needed a file like the kit's compose/cluster.toml"
    )


def test_a_token_on_the_command_line_is_refused_with_the_way_to_give_it() -> None:
    assert fault("--join", "x@y").startswith("found --join, needed --join-file FILE, or --join-file - for standard")


def test_the_manual_has_every_flag() -> None:
    manual = (ROOT / "scripts/init-server.sh").read_text().partition("\nset ")[0]
    assert [flag for flag in FLAGS if flag not in manual] == []
