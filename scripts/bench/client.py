"""The client that checks every answer: `python -m scripts.bench.client` reads a job as JSON and writes the outcome.

In an open loop it measures each latency from the moment the request was due, so that a delayed send counts as the
server's latency (this avoids "coordinated omission", a term of Gil Tene's).
"""

import http.client
import json
import random
import select
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from scripts.bench.requests import encode, first_label

MAX_CONNECTIONS = 256  # a request that is due while all are busy waits, and its wait counts


@dataclass(frozen=True)
class Job:
    """Send the image files in `labels`, which holds the expected label of each path.

    If `rate` is 0, send `count` of them one after another; else send in an open loop at `rate` requests/s.
    """

    address: str
    path: str
    encoding: str
    labels: Mapping[str, str]
    count: int = 0
    rate: float = 0.0
    seconds: float = 0.0
    timeout_s: float = 60.0


class Client:
    """Run a job: `latencies_ms` are those of right answers, `errors` count all other outcomes by kind."""

    def __init__(self, job: Job) -> None:
        self._job, self._local, self._lock = job, threading.local(), threading.Lock()
        files = sorted(job.labels.items())
        self._requests = [(*encode(job.encoding, Path(path).read_bytes()), label) for path, label in files]
        self.latencies_ms: list[float] = []
        self.errors: Counter[str] = Counter()

    def run(self) -> dict[str, object]:
        """Send everything, and wait for all answers, so that the slowest count too."""
        start = time.monotonic()
        if not self._job.rate:
            for number in range(self._job.count):
                self._send(number, time.monotonic())
        with ThreadPoolExecutor(MAX_CONNECTIONS) as pool:
            for number, moment in enumerate(arrival_times(self._job.rate, self._job.seconds)):
                time.sleep(max(0.0, start + moment - time.monotonic()))
                pool.submit(self._send, number, start + moment)
        seconds = max(self._job.seconds, time.monotonic() - start)
        return {"seconds": seconds, "latencies_ms": self.latencies_ms, "errors": self.errors}

    def _send(self, number: int, due: float) -> None:
        content_type, body, label = self._requests[number % len(self._requests)]
        connection = self._connection()
        try:
            connection.request("POST", self._job.path, body, {"Content-Type": content_type})
            response = connection.getresponse()
            error = fault(response.status, response.read(), label)
        except (OSError, http.client.HTTPException) as caught:
            connection.close()
            error = type(caught).__name__
        with self._lock:
            self.latencies_ms += [] if error else [round((time.monotonic() - due) * 1000, 3)]
            self.errors.update([error] if error else [])

    def _connection(self) -> http.client.HTTPConnection:
        """Return this thread's connection, closed if the server closed it while it was idle."""
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection(self._job.address, timeout=self._job.timeout_s)
        connection: http.client.HTTPConnection = self._local.connection
        if connection.sock and select.select([connection.sock], [], [], 0)[0]:
            connection.close()
        return connection


def fault(status: int, body: bytes, label: str) -> str:
    """Return what is wrong with an answer, "" if nothing is."""
    if status != HTTPStatus.OK:
        return str(status)
    found = first_label(body)
    return "" if found == label else f"found {found or 'no label'}, needed {label}"


def arrival_times(rate: float, seconds: float) -> list[float]:
    """Return the times, from 0 to `seconds`, of a Poisson process of `rate`/s, which models independent users."""
    rng, times, moment = random.Random(0), [], 0.0  # noqa: S311
    while rate and (moment := moment + rng.expovariate(rate)) < seconds:
        times.append(moment)
    return times


if __name__ == "__main__":
    json.dump(Client(Job(**json.load(sys.stdin))).run(), sys.stdout)
