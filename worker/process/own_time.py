"""The time that counts against a call which may hang: that in which this process could get on with it."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache

TICK_S = 1.0  # between two ticks


class OwnTime:
    """The seconds of this process between two ticks, of which there is one every TICK_S."""

    def __init__(self) -> None:
        self._used_s = time.process_time()

    def tick(self) -> Callable[[], float]:
        """Return what returns how much of the time since the last tick counts, which takes a file a thread to know."""
        before, self._used_s = self._used_s, time.process_time()
        used_s = self._used_s - before
        return cache(lambda: own_seconds(used_s, _count_wanting()))


def own_seconds(used_s: float, wanting: int) -> float:
    """Return how much of TICK_S counts if this process used `used_s` of processors, and `wanting` threads want more.

    While no thread runs, wants to run or waits for a disk, what has not returned never will (unless a GPU is at work on
    it), and all of the time counts. Otherwise only the share of each thread does: an overloaded, throttled or swapping
    machine gives little, and a worker that ended for that would load its model there again and again; a call that spins
    takes all it gets. A process that was stopped, or slept with its machine, ticks once for all that time.
    """
    return min(TICK_S, used_s / wanting) if wanting else TICK_S


def _count_wanting() -> int:
    """Return how many threads of this process, besides this one, run or want to (R), or wait for a disk (D)."""
    others = set(os.listdir("/proc/self/task")) - {str(threading.get_native_id())}
    return sum(_state(thread) in ("R", "D") for thread in others)


def _state(thread: str) -> str:
    """Return the letter of proc(5), "" for a thread that has ended."""
    with suppress(OSError), open(f"/proc/self/task/{thread}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]  # its name, before that, may hold anything
    return ""
