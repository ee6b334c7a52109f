"""The load generator: `python -m scripts.bench.client`, one thread; a job as JSON comes in, its outcome goes out.

Every server under test gets the same client. It keeps its connections, has every request's bytes ready beforehand,
and counts the time of each answer from the moment it was due: in an open loop a late send is the server's doing, and
is not left out ("coordinated omission", G. Tene).
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

OPEN_CONNECTIONS = 256  # of an open loop; what is due while all are busy waits here, and its wait counts
PAUSE_S = 0.1  # before a client goes on after a connection failed
PATIENCE_S = 30  # for what is under way when the time is over


@dataclass(frozen=True)
class Job:
    """What to send where. `rate` is that of an open loop, in requests a second; None for a closed one of `clients`.

    `form` is one of scripts.bench.requests.FORMS; `pids` are the processes whose CPU time is asked, with all below.
    """

    addresses: Sequence[str]
    path: str
    form: str
    images: str
    clients: int
    seconds: float
    warm_s: float
    rate: float | None = None
    seed: int = 0
    pids: Sequence[int] = ()


@dataclass
class Outcome:
    """What came of a job: answers within `seconds`, and CPU seconds meanwhile, `stolen_s` by other machines' work."""

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
    requests = [request_bytes(job.form, job.path, image) for image in images]
    client = Client(job.addresses, requests, job.clients if job.rate is None else OPEN_CONNECTIONS)
    try:
        _closed(client, job.clients, job.warm_s, Outcome(), ())
        outcome = Outcome()
        if job.rate is None:
            _closed(client, job.clients, job.seconds, outcome, job.pids)
        else:
            _open(client, arrivals(job.rate, job.seconds, job.seed), job.seconds, outcome, job.pids)
        return outcome
    finally:
        client.close()


def arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """Moments of a Poisson process of `rate` a second, from 0 to `seconds`: users do not know of one another."""
    source, moments, moment = random.Random(seed), [], 0.0  # noqa: S311
    while (moment := moment + source.expovariate(rate)) < seconds:
        moments.append(moment)
    return moments


def _closed(client: Client, clients: int, seconds: float, outcome: Outcome, pids: Sequence[int]) -> None:
    """`clients` that each send again once they are answered. Those on their way since before count at their end."""
    end = time.monotonic() + seconds
    due = [time.monotonic()] * (clients - len(client.busy))
    with _meters(outcome, pids):
        while (now := time.monotonic()) < end:
            for moment, done, status in client.turn(due, end):
                _count(outcome, moment, done, status)
                heapq.heappush(due, done if status.isdigit() else done + PAUSE_S)
        outcome.seconds = now - end + seconds


def _open(client: Client, moments: list[float], seconds: float, outcome: Outcome, pids: Sequence[int]) -> None:
    """Requests at `moments` whatever the answers do; all are waited for, or the slowest would be left out."""
    _drain(client)
    start = time.monotonic()
    due = [start + moment for moment in moments]
    with _meters(outcome, pids):
        while (due or client.busy) and (now := time.monotonic()) < start + seconds + PATIENCE_S:
            for moment, done, status in client.turn(due, start + seconds + PATIENCE_S):
                _count(outcome, moment, done, status)
        outcome.seconds = max(seconds, now - start)
    outcome.errors.update(["no answer"] * (len(due) + len(client.busy)))
    outcome.errors += Counter()  # drops a count of none


def _drain(client: Client) -> None:
    end = time.monotonic() + PATIENCE_S
    while client.busy and time.monotonic() < end:
        list(client.turn([], end))


def _count(outcome: Outcome, due: float, done: float, status: str) -> None:
    if status == "200":
        outcome.latencies_ms.append(round((done - due) * 1000, 3))
    else:
        outcome.errors[status] += 1


@contextmanager
def _meters(outcome: Outcome, pids: Sequence[int]) -> Iterator[None]:
    """Puts into `outcome` the CPU seconds that pass meanwhile."""

    def read() -> tuple[float, float, float]:
        return time.process_time(), procfs.cpu_s(pids), procfs.stolen_s()

    before = read()
    yield
    spent = [after - earlier for after, earlier in zip(read(), before, strict=True)]
    outcome.client_cpu_s, outcome.server_cpu_s, outcome.stolen_s = spent


if __name__ == "__main__":
    json.dump(vars(run(Job(**json.load(sys.stdin)))), sys.stdout)
