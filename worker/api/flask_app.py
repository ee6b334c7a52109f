"""The Flask application without routes: a context for each request, and one shape for errors."""

from flask import Flask, Response, g, request

from worker.api.request_context import REQUEST_ID, TRACEPARENT, answered_error, begin, end
from worker.api.service import Service
from worker.contract.error_codes import ErrorCode
from worker.contract.errors import ServiceError

# Whose clients need an error in another form than this project's; nginx/errors.conf knows the same.
TEXT_ERRORS, TORCHSERVE = ("/v1", "/v2"), "/predictions/"


def create(service: Service) -> Flask:
    """Return an application without routes that identifies, measures and logs each request to `service`."""
    app = Flask("worker", static_folder=None)
    app.extensions["service"] = service
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.merge_slashes = False  # a redirect would make the client send its image again

    @app.before_request
    def before() -> None:
        client_id, connection = request.headers.get(REQUEST_ID, ""), request.environ.get("gunicorn.socket")
        traceparent = request.headers.get(TRACEPARENT, "")
        g.context = begin(service, client_id, request.method, request.path, connection, traceparent)
        g.body = service.body(request.environ, g.context.deadline)

    @app.after_request
    def after(response: Response) -> Response:
        response.headers[REQUEST_ID] = g.context.request_id
        end(service, g.context, request.url_rule.rule if request.url_rule else "unknown", response.status_code)
        return response

    @app.teardown_request
    def release(error: BaseException | None) -> None:
        g.body.close()

    @app.errorhandler(Exception)
    def fail(error: Exception) -> Response:
        found = answered_error(service, g.context, error)
        response = app.make_response(
            (_error_body(found, request.path, g.context.request_id), found.code.status, found.headers)
        )
        if found.code is ErrorCode.METHOD_NOT_ALLOWED and (allowed := getattr(error, "valid_methods", None)):
            response.headers["Allow"] = ", ".join(sorted(allowed))
        return response

    return app


def _error_body(found: ServiceError, path: str, request_id: str) -> dict[str, object]:
    if path.startswith(TORCHSERVE):
        return found.torchserve_body(request_id)
    return found.protocol_body(request_id) if path.startswith(TEXT_ERRORS) else found.body(request_id)
