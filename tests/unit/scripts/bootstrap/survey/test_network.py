"""Where the token of a swarm comes from."""

import io

import pytest

from scripts.base.errors import CommandError
from scripts.bootstrap.options import Options
from scripts.bootstrap.survey.network import find_manager

TOKEN = "SWMTKN-1-" + "a" * 50 + "-" + "b" * 25


def test_a_token_in_place_of_its_file_is_not_repeated() -> None:
    with pytest.raises(CommandError) as refusal:
        find_manager(Options(join_file=f"{TOKEN}@10.0.0.1"))
    assert str(refusal.value) == (
        "--join-file: found no such file that can be read, needed one that says TOKEN@ADDRESS, or -, standard input"
    )


def test_the_token_is_read_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("no token\n"))
    with pytest.raises(CommandError, match=r"^found an invalid join token, needed SWMTKN-1-\.\.\.@ADDRESS"):
        find_manager(Options(join_file="-"))
    assert find_manager(Options()) is None
