"""What the gate has counted and collected, from all of its threads, and the text of GET /metrics that tells it."""

import os
import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .exchange import Exchange
from .exposition import Families, merge, render
from .members import Member
from .metrics import CONNECTION_STATES, METRICS, WORKER, Histogram, Recorded, families, worker_gauges

POOL = re.compile(r"(?:bypass[0-9]_)?pool_(.+)")  # what Nginx names where a pool has no worker left
NO_WORKER = ("", "")  # the model and the worker of a request that met none
ASKED_S = 300.0  # workers are scraped for this long after the last scrape of the gate
TEXT_S = 1.0  # a text serves so long: many who ask cost no more than one


class Observed:
    """The metrics of the gate and of its members; safe to use from every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recorded = Recorded()
        self._names: dict[str, tuple[str, str]] = {}  # model and worker, by address
        self._workers: dict[Member, Families] = {}
        self._text, self._text_until = b"", 0.0
        self._asked_until = 0.0  # on the monotonic clock, too
        self._set("start_timestamp_seconds", time.time())

    def count(self, name: str, *values: str) -> None:
        """Add one to the counter `name` with the labels' `values`."""
        with self._lock:
            self._recorded.counters[name][values] += 1

    def count_exchange(self, exchange: Exchange) -> None:
        """Count a request that Nginx has answered."""
        with self._lock:
            attempts = exchange.attempts
            names = [self._name(attempt.address) for attempt in attempts]
            model, worker = names[-1] if names else NO_WORKER
            counters = self._recorded.counters
            counters["requests_total"][model, worker, exchange.status] += 1
            for attempt, name in zip(attempts, names, strict=True):
                if attempt.retried:
                    counters["retries_total"][name] += 1
            if (seconds := exchange.first_byte_s) is not None:
                self._recorded.histograms["first_byte_seconds"].setdefault((model,), Histogram()).add(seconds)
            if len(exchange.connections) == len(CONNECTION_STATES):
                counts = zip(CONNECTION_STATES, exchange.connections, strict=True)
                self._recorded.gauges["connections"] = {(state,): count for state, count in counts}

    def collect(self, member: Member, found: Families | None) -> None:
        """Keep what a worker's own metrics were when it was asked last; None if it did not answer."""
        with self._lock:
            self._workers.pop(member, None)
            if found is not None:
                self._workers[member] = found

    def follow(self, names: Mapping[Member, tuple[str, str]]) -> None:
        """Know the members by their addresses (ip:port) and the names that they have now; forget all others."""
        with self._lock:
            self._names = {address: (member.model, worker) for member, (address, worker) in names.items()}
            self._workers = {member: found for member, found in self._workers.items() if member in names}
            self._recorded.forget_workers({worker for _, worker in self._names.values()})
            for metric in METRICS.values():
                if metric.name in self._recorded.counters and metric.labels == WORKER:
                    for pair in self._names.values():
                        self._recorded.counters[metric.name][pair] += 0  # so that a first rise is one

    def publish(self, status: Mapping[str, Any], values: Mapping[str, float | None]) -> None:
        """Tell the body of GET /status, just written, and the gauges `values` by name; None: it is no more."""
        with self._lock:
            self._recorded.gauges |= worker_gauges(status)
            for name, value in {"status_timestamp_seconds": time.time(), **values}.items():
                if value is None:
                    self._recorded.gauges.pop(name, None)
                else:
                    self._set(name, value)

    def is_asked(self) -> bool:
        """Return whether somebody has asked for the metrics lately."""
        return time.monotonic() < self._asked_until

    def text(self) -> bytes:
        """Return the body of GET /metrics."""
        with self._lock:
            self._asked_until = time.monotonic() + ASKED_S
            if time.monotonic() >= self._text_until:
                self._text = render(merge([families(self._recorded), *self._workers.values()])).encode()
                self._text_until = time.monotonic() + TEXT_S
            return self._text

    def _set(self, name: str, value: float) -> None:
        self._recorded.gauges[name] = {(): value}

    def _name(self, address: str) -> tuple[str, str]:
        if name := self._names.get(address):
            return name
        pool = POOL.fullmatch(address)
        return (pool[1], "") if pool else NO_WORKER


def disk(path: Path) -> dict[str, float]:
    """Return the gauges of the disk that `path` is on; none if it cannot be asked."""
    with suppress(OSError):
        found = os.statvfs(path)
        return {"disk_free_bytes": found.f_bavail * found.f_frsize, "disk_size_bytes": found.f_blocks * found.f_frsize}
    return {}


def certificate_end(path: Path) -> float | None:
    """Return when the first certificate at `path` or of its chain ends, in seconds since 1970; None if none is read."""
    import ssl  # takes megabytes, which a gate without TLS saves
    from _ssl import _test_decode_cert  # type: ignore[attr-defined]  # the only reader of dates in the library

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
        chain = [_test_decode_cert(str(path)), *context.get_ca_certs()]
        return min(ssl.cert_time_to_seconds(one["notAfter"]) for one in chain)
    except (OSError, KeyError, ValueError):
        return None
