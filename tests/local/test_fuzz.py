"""The fuzzer finds every kind of failure, and a short run of each target finds none."""

from pathlib import Path

import pytest

from tests.fuzz import TARGETS, runner
from tests.fuzz.runner import again, chosen, fuzz

EXAMPLES = 100  # of each target: the same in every run
LONG_S = 600  # that no target needs
FAULTY = "tests.local.faulty_targets"


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_run_finds_nothing(target: str, tmp_path: Path) -> None:
    (outcome,) = fuzz([target], tmp_path, LONG_S, EXAMPLES)
    failures = [path.with_suffix(".txt").read_text() for path in outcome.failures]
    assert (outcome.executions >= EXAMPLES, failures) == (True, [])


def faults(target: str, out: Path, examples: int = 100) -> dict[bytes, str]:
    """Fuzz a faulty target; return the last line about each failing input."""
    (outcome,) = fuzz([target], out, LONG_S, examples, package=FAULTY)
    assert outcome.executions > 0
    return {path.read_bytes(): path.with_suffix(".txt").read_text().splitlines()[-1] for path in outcome.failures}


def test_each_exception_is_saved_once(tmp_path: Path) -> None:
    found = faults("raises", tmp_path, 300)
    assert "ValueError: too long" in found.values()
    assert len(set(found.values())) == len(found) <= 2


def test_an_input_that_takes_too_much_memory_is_saved(tmp_path: Path) -> None:
    found = faults("holds", tmp_path, 4)
    assert [line.partition(": ")[2].split(" ")[0] for line in found.values()] == ["found"]
    assert all(data != b"little" for data in found)


def test_an_input_that_ends_the_process_is_saved(tmp_path: Path) -> None:
    found = faults("dies", tmp_path)
    assert set(found.values()) == {"the process ended with status -11"}


def test_an_input_that_hangs_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "INPUT_S", 1)
    found = faults("hangs", tmp_path)
    assert b"hangs" in found
    assert set(found.values()) == {"one input took more than 1 s"}


def test_a_saved_input_is_checked_again(tmp_path: Path) -> None:
    saved = tmp_path / "cluster_toml-0123456789ab"
    saved.write_bytes(b"port = 8080")
    assert again(saved) == 0


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(ValueError, match="found target other, needed some of decode, "):
        chosen(["other"])
