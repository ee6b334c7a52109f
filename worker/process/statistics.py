"""What a worker has answered since it started, as Triton's statistics count it: not in Prometheus's buckets."""

import math
from collections import Counter
from dataclasses import dataclass, field

NANOSECONDS = 10**9
BUCKETS_PER_DOUBLING = 8  # each bucket ends 9% above the one before it


@dataclass
class Statistics:
    """Requests to classify by their outcome, the nanoseconds they took, and the end of the last in milliseconds."""

    successes: int = 0
    success_ns: int = 0
    failures: int = 0
    failure_ns: int = 0
    last_ms: int = 0  # since the epoch; 0 if there was none
    _buckets: Counter[int] = field(default_factory=Counter)  # successes by duration

    def record(self, succeeded: bool, seconds: float, ended: float) -> None:
        """Record a request that took `seconds` until `ended`, in seconds since the epoch."""
        nanoseconds = round(seconds * NANOSECONDS)
        if succeeded:
            self.successes += 1
            self.success_ns += nanoseconds
            self._buckets[_bucket(seconds * 1000)] += 1
        else:
            self.failures += 1
            self.failure_ns += nanoseconds
        self.last_ms = round(ended * 1000)

    def durations_ms(self) -> dict[str, int]:
        """Return how many successes took at most so many milliseconds, and longer than the next lower number."""
        return {f"{2 ** (number / BUCKETS_PER_DOUBLING):.4g}": count for number, count in self._buckets.copy().items()}


def _bucket(milliseconds: float) -> int:
    return math.ceil(BUCKETS_PER_DOUBLING * math.log2(max(milliseconds, 1)))
