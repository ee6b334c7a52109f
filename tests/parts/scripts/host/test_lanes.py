"""How `make test` runs its lanes."""

import re
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.host.lanes import AT_ONCE, run_in_parallel


def shell(code: str) -> list[str]:
    return ["sh", "-c", code]


def error_lines(lanes: dict[str, list[str]], folder: Path) -> list[str]:
    with pytest.raises(CommandError) as error:
        run_in_parallel(lanes, folder)
    return list(error.value.lines)


def test_lanes_run_in_parallel_and_are_shown_one_by_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # The first lane ends only when the second has, which could not be if it ran after it.
    waiting = f"until [ -e {tmp_path}/there ]; do sleep 0.05; done"
    slow = shell(f"echo one; {waiting}; sleep 1; echo two; echo and a fault >&2")
    run_in_parallel({"slow": slow, "quick": shell(f"echo three; touch {tmp_path}/there")}, tmp_path)
    lines = capfd.readouterr().out.splitlines()
    minutes = lines[-2:]
    assert lines[:-2] == [
        f"-- lanes, {AT_ONCE} at a time, with logs in {tmp_path}/lane-*.log: slow, quick",
        "-- lane quick", "three",
        "-- lane slow", "one", "two", "and a fault",
        "-- minutes of each lane",
    ]  # fmt: skip
    assert [re.sub(r"\d+\.\d$", "N", " ".join(line.split())) for line in minutes] == ["quick N", "slow N"]


def test_no_more_lanes_run_at_once_than_keep_the_cores_busy(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # Each notes how many run when it starts; the first ones end when there are as many as may run.
    started = f"touch {tmp_path}/$$; ls {tmp_path} | grep -vc lane"
    waiting = f"until [ $(ls {tmp_path} | grep -vc lane) = {AT_ONCE} ]; do sleep 0.05; done"
    first = {f"first-{number}": shell(f"{started}; {waiting}; sleep 1; rm {tmp_path}/$$") for number in range(AT_ONCE)}
    run_in_parallel({**first, "last": shell(started)}, tmp_path)
    last = (tmp_path / "lane-last.log").read_text()
    assert int(last) <= AT_ONCE
    assert capfd.readouterr().out.count("-- lane ") == AT_ONCE + 1


def test_all_lanes_run_to_their_end_and_failures_are_listed_last(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    summary = "echo FAILED tests/a.py::test_one - assert 1 == 2; echo ERROR tests/a.py::test_two; echo bye"
    lanes = {
        "bad": shell(f"{summary}; exit 1"),
        "good": shell("sleep 0.3; echo FAILED is only a word here"),
        "killed": shell("sleep 0.6; kill -9 $$"),
    }
    assert error_lines(lanes, tmp_path) == [
        "FAILED tests/a.py::test_one - assert 1 == 2",
        "ERROR tests/a.py::test_two",
        "bad failed with status 1",
        "killed failed with status -9",
    ]
    printed = capfd.readouterr().out
    assert [line for line in printed.splitlines() if line.startswith("-- lane ")] == [
        "-- lane bad", "-- lane good", "-- lane killed",
    ]  # fmt: skip
    assert "-- minutes of each lane" in printed
