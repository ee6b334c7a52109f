"""Turns: who is next of those that wait, when ordinary work goes before background work and neither starves."""

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from worker.pipeline.admission import Deadline
from worker.pipeline.between import Between

T = TypeVar("T")
ORDINARY_TURNS = 4  # so often ordinary work goes first before background work that waits has a turn


class Turns(Generic[T]):
    """The waiting items: ordinary ones in the order of their arrival, then background ones in theirs.

    While both wait, one of every ORDINARY_TURNS + 1 items is a background one. Items of both kinds are never taken
    together. Not safe to use from several threads.
    """

    def __init__(self) -> None:
        self._ordinary, self._background = deque[T](), deque[T]()
        self._passed_over = 0

    def __len__(self) -> int:
        return len(self._ordinary) + len(self._background)

    def add(self, item: T, background: bool) -> None:
        (self._background if background else self._ordinary).append(item)

    def first(self) -> T:
        """Return the item whose turn it is; raise IndexError if none waits."""
        return self._next_queue()[0]

    @property
    def in_background(self) -> bool:
        """Whether it is the turn of background work."""
        return bool(self._background) and (not self._ordinary or self._passed_over >= ORDINARY_TURNS)

    def ready(self) -> int:
        """Return how many items may be taken together now."""
        waiting = self._next_queue()
        if self.in_background and self._ordinary:
            return min(len(waiting), self._passed_over // ORDINARY_TURNS)
        return len(waiting)

    def take(self, count: int) -> list[T]:
        """Remove and return the next `count` items, at most `ready`."""
        waiting = self._next_queue()
        taken = [waiting.popleft() for _ in range(count)]
        used = ORDINARY_TURNS * count if waiting is self._background else -count
        self._passed_over = max(0, self._passed_over - used) if self._background else 0
        return taken

    def clear(self) -> list[T]:
        """Remove and return all items."""
        items = [*self._ordinary, *self._background]
        self._ordinary.clear()
        self._background.clear()
        return items

    def remove(self, unwanted: Callable[[T], bool]) -> int:
        """Remove all `unwanted` items; return how many there were."""
        before = len(self)
        for waiting in (self._ordinary, self._background):
            if any(map(unwanted, waiting)):
                kept = [item for item in waiting if not unwanted(item)]
                waiting.clear()
                waiting.extend(kept)
        return before - len(self)

    def _next_queue(self) -> deque[T]:
        return self._background if self.in_background else self._ordinary


class Turnstile:
    """Let at most `places` threads in at once, by turns.

    A thread that leaves hands its place to the next. A semaphore would let the thread of a request with many images
    take its place again before any that waits has woken up.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._lock = threading.Lock()
        self._waiting = Turns[threading.Lock]()

    def place(self, deadline: Deadline, background: bool) -> Between[None]:
        """Hold a place in the context; raise ServiceError if the wait for it ends as `deadline` does."""
        return Between(partial(self._enter, deadline, background), self._leave)

    def _enter(self, deadline: Deadline, background: bool) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.add(turn, background)
        try:
            deadline.wait(lambda seconds: turn.acquire(timeout=seconds))
        except BaseException:
            with self._lock:
                still_waiting = self._waiting.remove(lambda other: other is turn)
            if not still_waiting:  # its turn came at this very moment
                self._leave()
            raise

    def _leave(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.take(1)[0].release()
            else:
                self._free += 1
