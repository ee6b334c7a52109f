"""What every request shares: its id, its log line, its metrics, and errors in the contract's one shape."""

import logging
import re
import time
import uuid

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from worker.errors import BadRequest, BodyTooLarge, ServiceError
from worker.limits import MAX_BODY_BYTES
from worker.logs import FIELDS
from worker.service import Service
from worker.uploads import InMemoryRequest

REQUEST_ID = "X-Request-ID"
VALID_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
PROTOCOL = "/v2"
QUIET = ("/livez", "/readyz", "/metrics")  # asked every second by machines

log = logging.getLogger("worker.access")


class _App(Flask):
    request_class = InMemoryRequest


def create(service: Service) -> Flask:
    """An application without routes that identifies, measures and logs each request of `service`."""
    app = _App("worker", static_folder=None)
    app.extensions["service"] = service
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]

    @app.before_request
    def begin() -> None:
        given = request.headers.get(REQUEST_ID, "")
        g.request_id = given if VALID_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        g.started = time.monotonic()

    @app.after_request
    def end(response: Response) -> Response:
        response.headers[REQUEST_ID] = g.request_id
        seconds = time.monotonic() - g.started
        route = request.url_rule.rule if request.url_rule else "unknown"
        service.metrics.requests.labels(route, response.status_code).inc()
        service.metrics.duration.labels(route).observe(seconds)
        if route not in QUIET:
            _log(service, response.status_code, seconds)
        return response

    @app.errorhandler(Exception)
    def fail(error: Exception) -> Response:
        known = _as_service_error(error)
        service.metrics.rejected.labels(known.code).inc()
        body = known.protocol_body if request.path.startswith(PROTOCOL) else known.body
        response = app.make_response((body(g.request_id), known.status))
        if known.retry_after_s is not None:
            response.headers["Retry-After"] = str(known.retry_after_s)
        if isinstance(error, HTTPException) and (allowed := getattr(error, "valid_methods", None)):
            response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    return app


def _log(service: Service, status: int, seconds: float) -> None:
    fields = {
        "request_id": g.request_id,
        "worker": service.settings.worker,
        "method": request.method,
        "path": request.path,
        "status": status,
        "seconds": round(seconds, 4),
    }
    log.info("request", extra={FIELDS: fields})


def _as_service_error(error: Exception) -> ServiceError:
    """Flask's own errors and anything unforeseen, as the contract's errors."""
    if isinstance(error, ServiceError):
        return error
    if not isinstance(error, HTTPException) or error.code is None:
        log.exception("unforeseen", extra={FIELDS: {"request_id": g.request_id}})
        return ServiceError("the worker failed on this request; its log has the details under the request id")
    if error.code == 413:
        return BodyTooLarge(
            f"the body is larger than {MAX_BODY_BYTES} bytes or has too many parts; send smaller or fewer images"
        )
    known = _FROM_FLASK.get(error.code)
    found = BadRequest(error.description or error.name)
    if known:
        found = BadRequest(known[1].format(method=request.method, path=request.path), known[0])
    found.status = error.code
    return found


_FROM_FLASK = {
    404: ("unknown_route", "there is no route {path}; /openapi.json lists those there are"),
    405: ("method_not_allowed", "{path} does not answer {method}; the header Allow says what it answers"),
}
