"""The requests that have no answer yet, in memory that gunicorn's main process shares: it outlives the worker process.

So the main process can name those at which a worker process was killed, one of which probably was the reason.
"""

import mmap
import struct
import time
from collections import deque
from dataclasses import dataclass
from functools import cache

PLACES = 1024  # more than a worker has threads; what finds no place is not noted
NOTE = struct.Struct("<Bd247s")  # the bytes of the text, 0 for none; the seconds since 1970; the text
MAX_BYTES = 247
FIELDS = ("request_id", "method", "path", "traceparent")


@dataclass(frozen=True)
class Unanswered:
    """A request that has no answer yet; `fields` are those of its log line."""

    started: float  # in seconds since 1970
    fields: dict[str, str]


class Notes:
    """Notes of requests, each in a place of its own: a thread writes one in two microseconds, without a lock."""

    def __init__(self, places: int = PLACES) -> None:
        self._memory = mmap.mmap(-1, places * NOTE.size)
        self._free = deque(range(0, places * NOTE.size, NOTE.size))

    def enter(self, request_id: str, method: str, path: str, traceparent: str) -> int:
        """Note a request; return what `leave` needs."""
        try:
            place = self._free.popleft()
        except IndexError:
            return -1
        text = f"{request_id}\t{method}\t{path}\t{traceparent}".encode(errors="replace")
        NOTE.pack_into(self._memory, place, min(len(text), MAX_BYTES), time.time(), text)
        return place

    def leave(self, place: int) -> None:
        """Forget an answered request."""
        if place >= 0:
            self._memory[place] = 0
            self._free.append(place)

    def take(self) -> list[Unanswered]:
        """Return and forget every request, oldest first, after the process that noted them has ended."""
        found = []
        for place in range(0, len(self._memory), NOTE.size):
            length, started, text = NOTE.unpack_from(self._memory, place)
            if length:
                values = text[:length].decode(errors="replace").split("\t")
                fields = {name: value for name, value in zip(FIELDS, values, strict=False) if value}
                found.append(Unanswered(started, fields))
                self._memory[place] = 0
        return sorted(found, key=lambda one: one.started)


@cache
def notes() -> Notes:
    """Return the notes of this process, which the processes that it forks share."""
    return Notes()
