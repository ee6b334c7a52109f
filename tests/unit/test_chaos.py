"""When a row of `make chaos` has kept its promise."""

import pytest

from tests.chaos.__main__ import line
from tests.chaos.outcome import Bound, Outcome
from tests.cluster.load import Sent

ANSWERED = [Sent("a", 0.0, 0.1, "200", "w")]


@pytest.mark.parametrize(
    ("figure", "bound", "kept"),
    [(64.0, Bound(most=64), True), (65.0, Bound(most=64), False), (2e6, Bound(most=64), False),
     (0.5, Bound(least=0.1), True), (0.01, Bound(least=0.1), False)],
)  # fmt: skip
def test_a_figure_out_of_its_bounds_breaks_the_promise_and_is_named(figure: float, bound: Bound, kept: bool) -> None:
    outcome = Outcome(ANSWERED, figures={"more": figure}, bounds={"more": bound})
    assert outcome.kept is kept
    row = line("leak", 1, outcome)
    assert row[-1] == ("yes" if kept else "NO")
    assert ("(needed at " in row[-2]) is not kept


def test_a_figure_that_is_missing_is_out_of_its_bounds() -> None:
    assert not Outcome(ANSWERED, bounds={"more": Bound(most=1)}).kept


def test_the_pace_is_judged_by_make_chaos_alone() -> None:
    outcome = Outcome(ANSWERED, figures={"429 p99, s": 60.0}, paced={"429 p99, s": Bound(most=5)})
    assert (outcome.kept, outcome.kept_in_time) == (True, False)
    assert line("overload", 1, outcome)[-2:] == ("429 p99, s 60 (needed at most 5)", "NO")


@pytest.mark.parametrize(
    ("outcome", "allowed", "kept"), [("503", 0.0, False), ("503", 1.0, True), ("wrong", 1.0, False)]
)
def test_what_was_sent_is_judged(outcome: str, allowed: float, kept: bool) -> None:
    assert Outcome([Sent("a", 0.0, 0.1, outcome, "")], allowed=allowed).kept is kept
