"""One request on either path: its id, its log line, its metrics, and the error that its client receives."""

import logging
import os
import re
import socket
import time
from functools import partial

import msgspec
from werkzeug.exceptions import HTTPException

from worker.api.service import Service
from worker.contract.errors import ErrorCode, ServiceError, cut, forget_frames, internal_error, out_of_memory
from worker.pipeline.admission import Deadline, never
from worker.process.logs import FIELDS, timestamp
from worker.process.unanswered import notes

REQUEST_ID, TRACEPARENT = "X-Request-ID", "traceparent"
VALID_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
VALID_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # of W3C's Trace Context
QUIET = ("/livez", "/readyz", "/metrics")  # polled every second, so not logged
# Requests to classify, which statistics count, are those with a body but for these routes.
CLASSIFY, OTHER = ("POST", "PUT"), ("unknown", "/v2/repository/index")

access_log = logging.getLogger("worker.access")
log = logging.getLogger(__name__)


class RequestContext(msgspec.Struct, frozen=True):
    """A request's id, its method and path, cut to be quoted, its start on the monotonic clock, and its deadline.

    `traceparent` is "" if the client sent none; `note` is where it is noted until it is answered.
    """

    request_id: str
    method: str
    path: str
    started: float
    deadline: Deadline
    traceparent: str
    note: int

    def elapsed(self) -> float:
        """Return the seconds since the request started."""
        return time.monotonic() - self.started


def begin(
    service: Service,
    client_id: str,
    method: str,
    path: str,
    connection: socket.socket | None = None,
    traceparent: str = "",
) -> RequestContext:
    """Start a request under the client's id, or under a new one if the client's id is not safe to log.

    The request ends when its client closes `connection`, unless that is None.
    """
    request_id = client_id if VALID_REQUEST_ID.fullmatch(client_id) else os.urandom(16).hex()
    gone = never if connection is None else partial(is_closed, connection)
    method, path = cut(method), cut(path)
    traceparent = traceparent if VALID_TRACEPARENT.fullmatch(traceparent) else ""
    note = -1 if path in QUIET else notes().enter(request_id, method, path, traceparent)
    return RequestContext(request_id, method, path, time.monotonic(), service.deadline(gone), traceparent, note)


def is_closed(connection: socket.socket) -> bool:
    """Return whether the peer has closed `connection`, or its half of it.

    The two cannot be told apart before an answer is written. A closed half counts as gone, as it does for Nginx, which
    never closes half of a connection to a worker itself. Bytes of a next request are left where they are.
    """
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:  # reset
        return True


def end(service: Service, context: RequestContext, route: str, status: int) -> None:
    """Count, measure and log an answered request soon; `route` is the URL rule that its path matched."""
    notes().leave(context.note)
    account = partial(_account, service, context, route, status, context.elapsed(), time.time())
    if route in QUIET:  # no other thread of an idle worker wakes up for a probe
        account()
    else:
        service.deferred(account)


def _account(service: Service, context: RequestContext, route: str, status: int, seconds: float, ended: float) -> None:
    service.metrics.requests.labels(route, status).inc()
    service.metrics.duration.labels(route).observe(seconds)
    if context.method in CLASSIFY and route not in OTHER:
        service.statistics.record(status == 200, seconds, ended)
    if route in QUIET:
        return
    fields = {
        "time": timestamp(ended),
        "request_id": context.request_id,
        "worker": service.settings.worker,
        "method": context.method,
        "path": context.path,
        "status": status,
        "seconds": round(seconds, 4),
        **({TRACEPARENT: context.traceparent} if context.traceparent else {}),
    }
    access_log.info("request", extra={FIELDS: fields})


def answered_error(service: Service, context: RequestContext, error: Exception) -> ServiceError:
    """Return the ServiceError that answers a request, for `error` or its passed deadline; count it by code."""
    found = to_service_error(service, context, error)
    if found.code is not ErrorCode.CLIENT_GONE and context.deadline.over():
        found = context.deadline.passed()
    service.deferred(service.metrics.rejected.labels(found.code.value).inc)
    return found


def to_service_error(service: Service, context: RequestContext, error: Exception) -> ServiceError:
    """Return the ServiceError that tells the client about `error`; log what is not the client's fault."""
    found = _mapped(service, context, error)
    forget_frames(error)
    return found


def _mapped(service: Service, context: RequestContext, error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, MemoryError):
        log.error("too little memory", extra={FIELDS: {"request_id": context.request_id}})
        return out_of_memory()
    if not isinstance(error, HTTPException):
        log.error("unforeseen", exc_info=error, extra={FIELDS: {"request_id": context.request_id}})
        return internal_error()
    if error.code == ErrorCode.BODY_TOO_LARGE.status:
        return ServiceError(
            ErrorCode.BODY_TOO_LARGE,
            f"found more than {service.max_body} bytes in the body, needed at most {service.max_body}: "
            "send fewer or smaller images",
        )
    # The rule of GET /v1/models/{name} takes a verb of TensorFlow Serving such as :classify for a part of a name.
    verb = context.method == "POST" and ":" in context.path.rpartition("/")[2]
    if error.code == ErrorCode.METHOD_NOT_ALLOWED.status and not verb:
        return ServiceError(
            ErrorCode.METHOD_NOT_ALLOWED,
            f"found method {context.method}, needed one that {context.path} takes: the header Allow lists them",
        )
    if error.code in (ErrorCode.UNKNOWN_ROUTE.status, ErrorCode.METHOD_NOT_ALLOWED.status):
        return ServiceError(
            ErrorCode.UNKNOWN_ROUTE,
            f"found no route {context.path}, needed one that is served: GET /openapi.json lists them",
        )
    return ServiceError(ErrorCode.BAD_REQUEST, error.description or error.name)
