"""How `make test` runs what it runs."""

import pytest

from scripts.base.errors import Refusal
from scripts.cluster.config import ROOT
from scripts.commands.test import HALF, beside
from scripts.host.checks import run as check


def shell(code: str) -> list[str]:
    return ["sh", "-c", code]


def test_what_runs_beside_is_shown_after_the_rest(capfd: pytest.CaptureFixture[str]) -> None:
    with beside("engine", shell("echo from the engine; echo and their faults >&2")):
        check("others", shell("echo from the others"))
    assert capfd.readouterr().out.splitlines() == [
        "-- others", "from the others", "-- engine", "from the engine", "and their faults",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "others", "message"),
    [
        (3, 0, "engine failed with status 3"),
        (0, 4, "others failed with status 4"),
        (3, 4, "others failed with status 4"),
    ],
)
def test_either_one_s_failure_fails_and_both_are_shown(
    engine: int, others: int, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Refusal) as refusal, beside("engine", shell(f"sleep 0.2; echo one; exit {engine}")):
        check("others", shell(f"echo two; exit {others}"))
    assert str(refusal.value) == message
    assert capfd.readouterr().out.splitlines() == ["-- others", "two", "-- engine", "one"]


def test_the_folders_that_run_beside_are_there() -> None:
    assert all((ROOT / folder).is_dir() for folder in HALF)
