"""Find a worker that answers with server errors while the other workers of its pool do not. All pure.

A worker's own /readyz may say that all is well when nothing is, so that these rules look only at what Nginx received.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median_low

from .exchange import Exchange
from .rules import Peer

# Not 503: Nginx tries another worker after it, and the probes see it. A status counts only if a worker sent it.
FAILURES = frozenset({"500", "502", "504"})
SUSPICIOUS_STREAK = 3  # failures in a row, as many as max_fails of an upstream's servers
# A longer streak is needed where the pool's other workers fail, too, since then the requests are bad: so long that
# chance makes one answer in a million start such a streak.
CHANCE = 1e-6
MEMORY = 16  # answers over which the share of failures is averaged

EJECTION_S = 30.0  # the first time; Envoy's outlier detection has the same base_ejection_time
LONGEST_EJECTION_S = 300.0  # and the same max_ejection_time


@dataclass(frozen=True)
class Record:
    """A worker's recent answers: failures in a row, and the share of failures, newer answers weighing more."""

    streak: int = 0
    share: float = 0.0

    def after(self, failed: bool) -> "Record":
        """Return the record after one more answer."""
        return Record(self.streak + 1 if failed else 0, self.share + (failed - self.share) / MEMORY)


def judged_answers(exchange: Exchange) -> Iterator[tuple[str, bool]]:
    """Yield the address of each worker that answered, and whether its answer was a failure.

    An attempt without a header time has no answer: Nginx itself put a status there. An answer that is shorter than its
    Content-Length, which Nginx knows of the last attempt, is a failure, too.
    """
    for number, attempt in enumerate(exchange.attempts, 1):
        if attempt.header_s is not None and attempt.status.isdecimal() and attempt.status != "503":
            short = number == len(exchange.attempts) and _is_less(attempt.length, exchange.promised)
            yield attempt.address, attempt.status in FAILURES or short


def _is_less(length: str, promised: str) -> bool:
    return length.isdecimal() and promised.isdecimal() and int(length) < int(promised)


def is_outlier(record: Record, others: Sequence[Record]) -> bool:
    """Return whether a worker's streak of failures is its own: not explained by how often the `others` fail.

    `others` are the pool's other workers in rotation; without any there is nothing to compare with, and no worker
    that could take its requests.
    """
    return bool(others) and record.streak >= _streak_needed(median_low(other.share for other in others))


def _streak_needed(share: float) -> float:
    if share <= 0:
        return SUSPICIOUS_STREAK
    return max(SUSPICIOUS_STREAK, math.log(CHANCE) / math.log(share)) if share < 1 else math.inf


def most_ejected(members: int) -> int:
    """Return how many workers of a pool of `members` may be ejected at once: never more than half."""
    return members // 2


def eject(peer: Peer, at: str, now: float, ejection_s: float) -> Peer:
    """Return the peer, ejected at `at` (ISO 8601) or `now` (seconds), for longer each time that it soon comes again."""
    recently = now - peer.ejected_until < LONGEST_EJECTION_S
    times = peer.ejections + 1 if recently else 1
    until = now + min(ejection_s * times, LONGEST_EJECTION_S)
    return replace(peer, rotation="ejected", since=at, successes=0, ejections=times, ejected_until=until)


def release(peer: Peer, now: float) -> Peer:
    """Return the peer, out of rotation like any other once its ejection is over: probes then let it in again."""
    over = peer.rotation == "ejected" and now >= peer.ejected_until
    return replace(peer, rotation="out", successes=0) if over else peer
