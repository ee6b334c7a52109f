"""The time that counts against a call which may hang."""

import threading
import time

import pytest

from tests.wait import until
from worker.process.own_time import TICK_S, OwnTime, own_seconds


@pytest.mark.parametrize(
    ("used_s", "wanting", "counts"),
    [
        (0.0, 0, TICK_S),  # it is blocked, or a GPU computes
        (0.3, 0, TICK_S),  # other requests were short
        (1.0, 1, TICK_S),  # it spins
        (4.0, 4, TICK_S),  # so do the threads of an engine
        (0.1, 1, 0.1),  # the machine is busy, or its cgroup throttled
        (0.4, 4, 0.1),
        (0.0, 1, 0.0),  # it is swapped out
        (9.0, 1, TICK_S),  # it was stopped at last
    ],
)
def test_the_time_counts_unless_the_machine_gave_less_than_was_wanted(
    used_s: float, wanting: int, counts: float
) -> None:
    assert own_seconds(used_s, wanting) == counts


def test_a_thread_that_spins_has_what_the_process_used() -> None:
    def spin() -> None:
        while not end.is_set():
            pass

    own, end = OwnTime(), threading.Event()
    spinning = threading.Thread(target=spin)
    spinning.start()
    began = time.process_time()
    try:
        until("it has used some", lambda: time.process_time() > began + 0.05)
        passed = own.tick()
        assert 0 < passed() <= TICK_S
        assert passed() == passed()  # it is read once
    finally:
        end.set()
        spinning.join()
