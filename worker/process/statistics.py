"""What a worker has answered since it started, as Triton's statistics count it: not in Prometheus's buckets."""

from dataclasses import dataclass

NANOSECONDS = 10**9


@dataclass
class Statistics:
    """Requests to classify by their outcome, the nanoseconds they took, and the end of the last in milliseconds."""

    successes: int = 0
    success_ns: int = 0
    failures: int = 0
    failure_ns: int = 0
    last_ms: int = 0  # since the epoch; 0 if there was none

    def record(self, succeeded: bool, seconds: float, ended: float) -> None:
        """Record a request that took `seconds` until `ended`, in seconds since the epoch."""
        nanoseconds = round(seconds * NANOSECONDS)
        if succeeded:
            self.successes += 1
            self.success_ns += nanoseconds
        else:
            self.failures += 1
            self.failure_ns += nanoseconds
        self.last_ms = round(ended * 1000)
