"""The calls that run now, and which of them hang: not those that the machine keeps waiting."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from worker.pipeline.between import Between

# An inference may take so often the time of the slowest so far: processors slow down when they are hot, and neighbours
# share their caches.
TIMES = 3

A = TypeVar("A")
R = TypeVar("R")


class Running:
    """The calls of one kind that run now, in any thread, and the seconds in which each has made no progress."""

    def __init__(self) -> None:
        self._calls: dict[object, Callable[[], int]] = {}
        self._silent: dict[tuple[object, int], float] = {}
        self.slowest_s = 0.0  # to a second or two, of those that made progress or ended

    def call(self, progress: Callable[[], int] = lambda: 0) -> Between[None]:
        """Count the context as one call; `progress` returns another number after every step that the call makes."""
        key = object()
        return Between(partial(self._calls.__setitem__, key, progress), partial(self._calls.pop, key))

    def watched(self, function: Callable[[A], R]) -> Callable[[A], R]:
        """Return `function`, each of whose calls is counted."""

        def run(argument: A) -> R:
            with self.call():
                return function(argument)

        return run

    def longest_silence(self, passed: Callable[[], float]) -> float:
        """Return the longest silence in seconds; those that have `passed` count for what ran at the last call, too."""
        now = {(key, progress()) for key, progress in list(self._calls.items())}
        ended = [seconds for call, seconds in self._silent.items() if call not in now]
        self.slowest_s = max(self.slowest_s, *ended, 0.0)
        self._silent = {call: self._silent[call] + passed() if call in self._silent else 0.0 for call in now}
        return max(self._silent.values(), default=0.0)


class Hangs:
    """The inferences and decodings of a worker, and the seconds that each may go on without progress.

    An inference makes none before it ends, and may take TIMES as long as the slowest so far: a large network on a slow
    machine is no fault.
    """

    def __init__(self, inference_s: float, decoding_s: float) -> None:
        self.inferences, self.decodings = Running(), Running()
        self._inference_s, self._decoding_s = inference_s, decoding_s

    def find(self, passed: Callable[[], float]) -> str | None:
        """Return what hangs, None if nothing does; `passed` returns the seconds that count since the last call."""
        inference_s, decoding_s = self.inferences.longest_silence(passed), self.decodings.longest_silence(passed)
        limit_s = max(self._inference_s, TIMES * self.inferences.slowest_s)
        if inference_s >= limit_s:
            return f"one inference has not returned within {limit_s:g} s"
        if decoding_s >= self._decoding_s:
            return f"one decoding has not returned within {self._decoding_s:g} s"
        return None
