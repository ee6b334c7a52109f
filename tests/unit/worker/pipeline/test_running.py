"""Which of the calls that run now hangs."""

from collections.abc import Callable
from contextlib import ExitStack

import pytest

from worker.pipeline.admission import Deadline
from worker.pipeline.running import TIMES, Hangs, Running

INFERENCE_S, DECODING_S = 5, 10


def second() -> float:
    return 1.0


def found(hangs: Hangs, looks: int, passed: Callable[[], float] = second) -> list[str | None]:
    return [hangs.find(passed) for _ in range(looks)]


def run_for(hangs: Hangs, seconds: int) -> None:
    """Let one inference end after so many seconds."""
    with hangs.inferences.call():
        found(hangs, seconds + 1)
    hangs.find(second)


def test_an_inference_hangs_after_the_limit_and_not_before() -> None:
    hangs = Hangs(INFERENCE_S, DECODING_S)
    assert hangs.find(second) is None
    with hangs.inferences.call():
        assert found(hangs, 7) == [None] * 5 + ["one inference has not returned within 5 s"] * 2
    assert hangs.find(second) is None


def test_a_decoding_hangs_only_while_it_shows_no_progress() -> None:
    hangs, deadline = Hangs(INFERENCE_S, DECODING_S), Deadline(600)
    with hangs.decodings.call(lambda: deadline.looks):
        for _ in range(3 * DECODING_S):
            deadline.left()
            assert hangs.find(second) is None
        assert found(hangs, 10) == [None] * 9 + ["one decoding has not returned within 10 s"]


def test_many_short_calls_never_add_up() -> None:
    hangs = Hangs(INFERENCE_S, DECODING_S)
    infer = hangs.inferences.watched(lambda batch: hangs.find(second))
    assert [infer(None) for _ in range(3 * INFERENCE_S)] == [None] * 3 * INFERENCE_S


def test_of_several_calls_the_one_that_is_silent_longest_counts() -> None:
    running = Running()
    with ExitStack() as calls:
        calls.enter_context(running.call())
        assert [running.longest_silence(second) for _ in range(3)] == [0, 1, 2]
        calls.enter_context(running.call())
        assert [running.longest_silence(second) for _ in range(2)] == [3, 4]


@pytest.mark.parametrize(("slowest", "limit_s"), [(0, 5), (1, 5), (2, 6), (20, 60)])
def test_where_inferences_take_long_one_hangs_only_after_a_multiple_of_the_slowest(slowest: int, limit_s: int) -> None:
    hangs = Hangs(INFERENCE_S, DECODING_S)
    run_for(hangs, slowest)
    run_for(hangs, 0)
    assert limit_s == max(INFERENCE_S, TIMES * slowest)
    with hangs.inferences.call():
        assert found(hangs, limit_s) == [None] * limit_s
        assert hangs.find(second) == f"one inference has not returned within {limit_s} s"


def test_time_in_which_the_machine_gave_nothing_does_not_count() -> None:
    hangs = Hangs(INFERENCE_S, DECODING_S)
    with hangs.inferences.call():
        assert set(found(hangs, 1000, lambda: 0.0)) == {None}
    assert hangs.inferences.slowest_s == 0


def test_what_failed_has_ended() -> None:
    running = Running()

    def fail(batch: None) -> None:
        running.longest_silence(second)
        raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        running.watched(fail)(None)
    assert running.longest_silence(second) == 0
