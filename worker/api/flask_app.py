"""The Flask application without routes: a context for each request, and one shape for errors."""

from contextlib import ExitStack

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from worker.api.request_context import REQUEST_ID, RETRY_AFTER, begin, end, to_service_error
from worker.api.service import Service
from worker.api.uploads import InMemoryRequest
from worker.contract.limits import FREE_BODY_BYTES, MAX_BODY_BYTES

PROTOCOL = "/v2"


class _App(Flask):
    request_class = InMemoryRequest


def create(service: Service) -> Flask:
    """Return an application without routes that identifies, measures and logs each request to `service`."""
    app = _App("worker", static_folder=None)
    app.extensions["service"] = service
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.merge_slashes = False  # a redirect would make the client send its image again

    @app.before_request
    def before() -> None:
        client_id, connection = request.headers.get(REQUEST_ID, ""), request.environ.get("gunicorn.socket")
        g.context = begin(service, client_id, request.method, request.path, connection)
        g.held = ExitStack()
        # A chunked body has no length before it is read.
        length = MAX_BODY_BYTES if request.content_length is None else min(request.content_length, MAX_BODY_BYTES)
        if request.method == "POST" and length > FREE_BODY_BYTES:
            g.held.enter_context(service.bodies.hold(length, g.context.deadline.left))

    @app.after_request
    def after(response: Response) -> Response:
        response.headers[REQUEST_ID] = g.context.request_id
        end(service, g.context, request.url_rule.rule if request.url_rule else "unknown", response.status_code)
        return response

    @app.teardown_request
    def release(error: BaseException | None) -> None:
        g.held.close()

    @app.errorhandler(Exception)
    def fail(error: Exception) -> Response:
        found = to_service_error(service, g.context, error)
        body = found.protocol_body if request.path.startswith(PROTOCOL) else found.body
        response = app.make_response((body(g.context.request_id), found.code.status))
        if found.code.retry_after_s is not None:
            response.headers[RETRY_AFTER] = str(found.code.retry_after_s)
        if isinstance(error, HTTPException) and (allowed := getattr(error, "valid_methods", None)):
            response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    return app
