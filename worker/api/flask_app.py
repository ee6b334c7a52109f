"""What every request shares: its id, its log line, its metrics, and errors in the contract's one shape."""

import logging

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from worker.api import request_context as exchange
from worker.api.request_context import REQUEST_ID, Exchange
from worker.api.service import Service
from worker.api.uploads import InMemoryRequest
from worker.contract.errors import BadRequest, BodyTooLarge, ServiceError
from worker.contract.limits import MAX_BODY_BYTES
from worker.process.logs import FIELDS

PROTOCOL = "/v2"
RETRY_AFTER = "Retry-After"

log = logging.getLogger(__name__)


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
        g.exchange = exchange.begin(request.headers.get(REQUEST_ID, ""))

    @app.after_request
    def end(response: Response) -> Response:
        response.headers[REQUEST_ID] = g.exchange.request_id
        route = request.url_rule.rule if request.url_rule else "unknown"
        exchange.end(service, g.exchange, request.method, request.path, route, response.status_code)
        return response

    @app.errorhandler(Exception)
    def fail(error: Exception) -> Response:
        known = told(service, g.exchange, error)
        body = known.protocol_body if request.path.startswith(PROTOCOL) else known.body
        response = app.make_response((body(g.exchange.request_id), known.status))
        if known.retry_after_s is not None:
            response.headers[RETRY_AFTER] = str(known.retry_after_s)
        if isinstance(error, HTTPException) and (allowed := getattr(error, "valid_methods", None)):
            response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    return app


def told(service: Service, its: Exchange, error: Exception) -> ServiceError:
    """What the client is told of `error`, counted."""
    known = _as_service_error(its, error)
    service.later(service.metrics.rejected.labels(known.code).inc)
    return known


def _as_service_error(its: Exchange, error: Exception) -> ServiceError:
    """Flask's own errors and anything unforeseen, as the contract's errors."""
    if isinstance(error, ServiceError):
        return error
    if not isinstance(error, HTTPException) or error.code is None:
        log.exception("unforeseen", extra={FIELDS: {"request_id": its.request_id}})
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
