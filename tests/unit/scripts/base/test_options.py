"""Tests of command options: parsing, invalid flags, and the round trip through JSON."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest

from scripts import commands
from scripts.base.errors import CommandError
from scripts.base.options import Flag, add_flags, from_json, read_flags, to_json


@dataclass(frozen=True)
class Options:
    lines: Annotated[int, Flag("of each log")] = 20
    out_dir: Annotated[Path, Flag("where to write")] = Path("out")
    gpu: Annotated[str, Flag("none: CPUs alone", choices=("auto", "none"))] = "auto"
    follow: Annotated[bool, Flag("go on")] = False
    prepare: Annotated[bool, Flag("measure nothing yet")] = True
    arguments: Annotated[tuple[str, ...], Flag("for pytest")] = ()
    origin: str = ""  # set by code
    calibration: Path | None = None


def parsed(*flags: str) -> Options:
    parser = argparse.ArgumentParser(allow_abbrev=False, prog="p")
    add_flags(parser, Options)
    return read_flags(Options, parser.parse_args(flags))


def test_without_flags_every_option_has_its_default() -> None:
    assert parsed() == Options()


def test_every_flag_sets_the_option_of_its_name() -> None:
    found = parsed("--lines", "3", "--out-dir", "a b", "--gpu=none", "--follow", "--no-prepare", "--", "-k", "x")
    assert found == Options(3, Path("a b"), "none", True, False, ("-k", "x"))


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (("--lines", "many"), "argument --lines: invalid int value: 'many'"),
        (("--gpu", "all"), "argument --gpu: invalid choice: 'all'"),
        (("--origin", "x"), "unrecognized arguments: --origin"),
        (("--prepare",), "unrecognized arguments: --prepare"),
        (("--line", "3"), "unrecognized arguments: --line"),
    ],
)
def test_unknown_flags_and_invalid_values_are_rejected(
    flags: tuple[str, ...], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed(*flags)
    assert fault in capsys.readouterr().err


def test_options_survive_a_json_round_trip_even_with_undecodable_paths() -> None:
    options = Options(
        out_dir=Path("/模型/caf\udce9"), origin='"quoted"', calibration=Path("/own"), arguments=("a", "b")
    )
    assert from_json(Options, to_json(options)) == options
    assert to_json(options).isascii()


def test_an_unknown_key_in_json_is_rejected() -> None:
    with pytest.raises(CommandError) as error:
        from_json(Options, json.dumps({"lines": 1, "line": 2}))
    assert error.value.lines == (
        "Options: found line, needed some of lines, out_dir, gpu, follow, prepare, arguments, origin, calibration",
    )


@pytest.mark.parametrize("name", commands.names())
def test_no_command_repeats_an_option_of_service_options(name: str) -> None:
    """`ServiceOptions` and a command's own options share one parser."""
    own = argparse.ArgumentParser()
    add_flags(own, commands.ServiceOptions)
    add_flags(own, commands.load(name).options)
