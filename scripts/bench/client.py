"""The load generator: `python -m scripts.bench.client` reads a job as JSON, runs it in one thread, writes the outcome.

Every server gets the same client. It keeps connections alive, builds the requests' bytes beforehand, and measures
each latency from the moment the request was due, so that in an open loop a delayed send counts as the server's
latency (this avoids "coordinated omission", a term of Gil Tene's).
"""

import heapq
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scripts.bench import procfs
from scripts.bench.connections import Client
from scripts.bench.requests import request_bytes

OPEN_CONNECTIONS = 256  # of an open loop; a request that is due while all are busy waits, and its wait counts
RETRY_PAUSE_S = 0.1  # of a client after a failed connection
DRAIN_TIMEOUT_S = 30  # for the requests in flight when the time is over


@dataclass(frozen=True)
class Job:
    """A load: a closed loop of `clients` if `rate` is None, else an open loop at `rate` requests/s.

    `encoding` is one of scripts.bench.requests.ENCODINGS, `images` a folder; the CPU time of `pids` and their
    descendants is measured.
    """

    addresses: Sequence[str]
    path: str
    encoding: str
    images: str
    clients: int
    seconds: float
    warm_s: float
    rate: float | None = None
    seed: int = 0
    pids: Sequence[int] = ()


@dataclass
class Outcome:
    """The outcome of a job: the latencies and errors within `seconds`, and the CPU seconds used meanwhile.

    `stolen_s` are the CPU seconds that the hypervisor gave to other machines.
    """

    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    client_cpu_s: float = 0.0
    server_cpu_s: float = 0.0
    stolen_s: float = 0.0


def run(job: Job) -> Outcome:
    """Warm up for `warm_s`, then measure for `seconds`."""
    images = [path.read_bytes() for path in sorted(Path(job.images).iterdir())]
    random.Random(job.seed).shuffle(images)  # noqa: S311 - a fixed order
    requests = [request_bytes(job.encoding, job.path, image) for image in images]
    client = Client(job.addresses, requests, job.clients if job.rate is None else OPEN_CONNECTIONS)
    try:
        _closed_loop(client, job.clients, job.warm_s, Outcome(), ())
        outcome = Outcome()
        if job.rate is None:
            _closed_loop(client, job.clients, job.seconds, outcome, job.pids)
        else:
            _open_loop(client, arrival_times(job.rate, job.seconds, job.seed), job.seconds, outcome, job.pids)
        return outcome
    finally:
        client.close()


def arrival_times(rate: float, seconds: float, seed: int) -> list[float]:
    """Return the times, from 0 to `seconds`, of a Poisson process of `rate`/s, which models independent users."""
    rng, times, moment = random.Random(seed), [], 0.0  # noqa: S311
    while (moment := moment + rng.expovariate(rate)) < seconds:
        times.append(moment)
    return times


def _closed_loop(client: Client, clients: int, seconds: float, outcome: Outcome, pids: Sequence[int]) -> None:
    """Let each of `clients` send again once it is answered. Requests already in flight count when they end."""
    end = time.monotonic() + seconds
    due = [time.monotonic()] * (clients - len(client.busy))
    with _cpu_measured(outcome, pids):
        while (now := time.monotonic()) < end:
            for moment, ended, status in client.poll(due, end):
                _count(outcome, moment, ended, status)
                heapq.heappush(due, ended if status.isdigit() else ended + RETRY_PAUSE_S)
        outcome.seconds = now - end + seconds


def _open_loop(client: Client, times: list[float], seconds: float, outcome: Outcome, pids: Sequence[int]) -> None:
    """Send at `times` regardless of the answers, and wait for all of them, so that the slowest count too."""
    _drain(client)
    start = time.monotonic()
    due = [start + moment for moment in times]
    with _cpu_measured(outcome, pids):
        while (due or client.busy) and (now := time.monotonic()) < start + seconds + DRAIN_TIMEOUT_S:
            for moment, ended, status in client.poll(due, start + seconds + DRAIN_TIMEOUT_S):
                _count(outcome, moment, ended, status)
        outcome.seconds = max(seconds, now - start)
    outcome.errors.update(["no answer"] * (len(due) + len(client.busy)))
    outcome.errors += Counter()  # drops counts of zero


def _drain(client: Client) -> None:
    end = time.monotonic() + DRAIN_TIMEOUT_S
    while client.busy and time.monotonic() < end:
        list(client.poll([], end))


def _count(outcome: Outcome, due: float, ended: float, status: str) -> None:
    if status == "200":
        outcome.latencies_ms.append(round((ended - due) * 1000, 3))
    else:
        outcome.errors[status] += 1


@contextmanager
def _cpu_measured(outcome: Outcome, pids: Sequence[int]) -> Iterator[None]:
    """Record in `outcome` the CPU seconds used while the context lasts."""

    def read() -> tuple[float, float, float]:
        return time.process_time(), procfs.cpu_s(pids), procfs.stolen_s()

    before = read()
    yield
    spent = [after - earlier for after, earlier in zip(read(), before, strict=True)]
    outcome.client_cpu_s, outcome.server_cpu_s, outcome.stolen_s = spent


if __name__ == "__main__":
    json.dump(vars(run(Job(**json.load(sys.stdin)))), sys.stdout)
