"""How many images each model's workers answer and how long a request takes, over the last minutes. All pure.

Every worker counts since it started; the gate adds up, by model, what each count grew by from one probe to the next.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

SLOT_S, SLOTS = 5, 60  # five minutes
RATE_SLOTS = 12  # images per second: over the last minute
MAX_BUCKETS = 200  # of a worker's answer; one of this version has at most 130
MAX_MS = 1e9


@dataclass(frozen=True)
class Totals:
    """What a worker has answered since it started: images, and requests by the most milliseconds that they took.

    The milliseconds stay the text of the answer: 400 workers report 40 of them every second.
    """

    images: int
    durations_ms: Mapping[str, int]

    def since(self, before: "Totals") -> "Totals":
        """Return what was added after `before`; everything if the worker has started again since."""
        known = before.durations_ms
        grown = {
            bound: count - known.get(bound, 0)
            for bound, count in self.durations_ms.items()
            if count != known.get(bound, 0)
        }
        if self.images < before.images or min(grown.values(), default=0) < 0:
            return self
        return Totals(self.images - before.images, grown)


def parse_totals(answered: Any) -> Totals | None:
    """Return the totals in a worker's answer; None if it has none, as one of an earlier version."""
    try:
        images, durations = answered["images"], answered["durations_ms"]
        counts = [images, *durations.values()]
    except (KeyError, TypeError, AttributeError):
        return None
    good = len(durations) <= MAX_BUCKETS and set(map(type, counts)) == {int} and min(counts) >= 0
    return Totals(images, durations) if good and all(map(_is_bound, durations)) else None


@lru_cache(MAX_BUCKETS)
def _is_bound(text: str) -> bool:
    try:
        return 0 < float(text) < MAX_MS
    except ValueError:
        return False


@dataclass
class Slot:
    """What was answered in one time of SLOT_S seconds, which is counted by its number."""

    number: int
    images: int = 0
    durations_ms: Counter[str] = field(default_factory=Counter)


@dataclass
class Rate:
    """What the workers of one model have answered in each of the last SLOTS slots."""

    _slots: deque[Slot] = field(default_factory=deque)  # oldest first; none for a time without a request
    _durations: Counter[str] = field(default_factory=Counter)  # of all slots together

    def add(self, new: Totals, now: float) -> None:
        """Count `new` at `now`, in seconds on the monotonic clock."""
        if not new.images and not new.durations_ms:
            return
        number = int(now // SLOT_S)
        if not self._slots or self._slots[-1].number != number:
            self._slots.append(Slot(number))
        self._slots[-1].images += new.images
        self._slots[-1].durations_ms.update(new.durations_ms)
        self._durations.update(new.durations_ms)

    def describe(self, now: float) -> dict[str, Any]:
        """Return the images per second, the percentiles of a request's milliseconds, and each slot's images."""
        number = int(now // SLOT_S)
        self._forget(number)
        images = [0] * SLOTS
        for slot in self._slots:
            images[slot.number - number - 1] = slot.images
        seconds = (RATE_SLOTS - 1) * SLOT_S + now % SLOT_S
        return {
            "images_per_s": round(sum(images[-RATE_SLOTS:]) / seconds, 2),
            "p50_ms": _percentile(self._durations, 0.5),
            "p99_ms": _percentile(self._durations, 0.99),
            "step_s": SLOT_S,
            "images": images,
        }

    def _forget(self, number: int) -> None:
        while self._slots and self._slots[0].number <= number - SLOTS:
            self._durations.subtract(self._slots.popleft().durations_ms)
            self._durations = +self._durations


def _percentile(durations: Mapping[str, int], share: float) -> float | None:
    """Return the upper bound of the bucket in which `share` of all durations is reached; None if there is none."""
    left = share * sum(durations.values())
    for bound in sorted(durations, key=float):
        left -= durations[bound]
        if left <= 1e-9:
            return float(bound)
    return None
