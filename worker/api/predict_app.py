"""The WSGI application in front of Flask's: it answers `POST /predict` itself, without Flask's cost for a request."""

from collections.abc import Iterable
from http.client import responses
from typing import TYPE_CHECKING

from flask import Flask

from worker.api.request_context import REQUEST_ID, answered_error, begin, end
from worker.api.routes import predict
from worker.api.routes.predict import METHOD, PATH
from worker.api.service import Service

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def install(app: Flask, service: Service) -> None:
    """Let `app` answer `POST /predict` here; it still answers the route's other methods."""
    app.wsgi_app = _in_front_of(app.wsgi_app, service)  # type: ignore[method-assign,assignment]


def _in_front_of(others: "WSGIApplication", service: Service) -> "WSGIApplication":
    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        # werkzeug's routes, too, take any number of slashes at the start.
        if environ["REQUEST_METHOD"] != METHOD or f"/{environ['PATH_INFO'].lstrip('/')}" != PATH:
            return others(environ, start_response)
        client_id, connection = environ.get("HTTP_X_REQUEST_ID", ""), environ.get("gunicorn.socket")
        context = begin(service, client_id, METHOD, PATH, connection, environ.get("HTTP_TRACEPARENT", ""))
        status, headers = 200, {}
        sent = service.body(environ, context.deadline)
        try:
            kind, body = predict.answer(service, context, sent)
        except Exception as error:
            found = answered_error(service, context, error)
            status, headers = found.code.status, found.headers
            kind, body = predict.JSON, predict.to_json(found.body(context.request_id))
        finally:
            sent.close()
        end(service, context, PATH, status)
        described = {"Content-Type": kind, "Content-Length": str(len(body)), REQUEST_ID: context.request_id} | headers
        start_response(f"{status} {responses.get(status, 'Unknown')}", list(described.items()))
        return [body]

    return application
