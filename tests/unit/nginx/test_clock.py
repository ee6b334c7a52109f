"""A clock that jumps: the gate notices one that is set back, and its report is new again at the next look."""

from pathlib import Path

import pytest

from nginx.gate.clock import Clock
from nginx.gate.freshness import mark_fresh


@pytest.mark.parametrize(
    ("readings", "set_back"),
    [
        ([100.0, 100.0, 100.0], [False, False]),
        ([100.0, 100.4, 99.9], [False, False]),  # as time servers correct it
        ([100.0, 3700.0, 100.0, 100.0], [False, True, False]),
        ([100.0, -3500.0, -7100.0], [True, True]),
    ],
)
def test_only_a_clock_that_is_set_back_is_noticed_and_once(readings: list[float], set_back: list[bool]) -> None:
    clock = Clock(iter(readings).__next__)
    assert [clock.was_set_back() for _ in set_back] == set_back


@pytest.mark.parametrize("jump", [3600, -3600])
def test_a_report_is_new_in_the_window_of_the_clock_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    for now in (1_800_000_003.0, 1_800_000_003.0 + jump):
        monkeypatch.setattr("time.time", lambda now=now: now)
        mark_fresh(tmp_path)
        begin = int(now) - 3
        assert sorted(path.name for path in tmp_path.iterdir()) == [f"fresh.{begin}", f"fresh.{begin + 5}"]
