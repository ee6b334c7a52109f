"""One request from its beginning to its line in the log, whichever way it came in: its id and its metrics."""

import logging
import os
import re
import time
from dataclasses import dataclass

from worker.api.service import Service
from worker.process.logs import FIELDS, written

REQUEST_ID = "X-Request-ID"
VALID_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
QUIET = ("/livez", "/readyz", "/metrics")  # asked every second by machines

log = logging.getLogger("worker.access")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request's id, and when it began on the monotonic clock, in seconds."""

    request_id: str
    started: float

    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started


def begin(given: str) -> Exchange:
    """A request that begins now, under the id it was given, or its own where that could spoil a log."""
    return Exchange(given if VALID_REQUEST_ID.fullmatch(given) else os.urandom(16).hex(), time.monotonic())


def end(service: Service, exchange: Exchange, method: str, path: str, route: str, status: int) -> None:
    """Measure the answered request and log it; `route` is the rule that `path` fell under."""
    service.later(_account, service, exchange, (method, path, route, status), exchange.elapsed(), time.time())


def _account(
    service: Service, exchange: Exchange, request: tuple[str, str, str, int], seconds: float, ended: float
) -> None:
    method, path, route, status = request
    service.metrics.requests.labels(route, status).inc()
    service.metrics.duration.labels(route).observe(seconds)
    if route in QUIET:
        return
    fields = {
        "time": written(ended),
        "request_id": exchange.request_id,
        "worker": service.settings.worker,
        "method": method,
        "path": path,
        "status": status,
        "seconds": round(seconds, 4),
    }
    log.info("request", extra={FIELDS: fields})
