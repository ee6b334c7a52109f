"""The contract as an OpenAPI 3.1 document, of the routes' own descriptions and the limits that the worker enforces."""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from worker.api.operations import get
from worker.api.routes import APIS
from worker.api.schemas import Json, components
from worker.api.service import Service
from worker.contract.limits import (
    MAX_FIELD_BYTES,
    MAX_FORM_HEADER_BYTES,
    MAX_FORM_PARTS,
    MAX_JSON_CONTAINERS,
    MAX_JSON_VALUES,
    MAX_PART_HEADER_BYTES,
    MAX_PREDICTIONS,
    MAX_SCORES,
    MEBIBYTE,
)
from worker.contract.settings import Settings
from worker.contract.version import VERSION

PATH = "/openapi.json"
SECURITY: Json = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key, where the service asks for one."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key in another header."},
}
BOUNDS = (
    f"JSON has at most {MAX_JSON_VALUES} commas and {MAX_JSON_CONTAINERS} lists "
    f"and objects; a form at most {MAX_FORM_PARTS} parts, each with {MAX_PART_HEADER_BYTES} bytes of headers, "
    f"{MAX_FORM_HEADER_BYTES} in all, and {MAX_FIELD_BYTES} bytes in a parameter; an answer at most {MAX_PREDICTIONS} "
    f"classes with labels or {MAX_SCORES} scores."
)


def blueprint(service: Service) -> Blueprint:
    """Return the document's own route, bound to `service`."""
    routes = Blueprint("openapi", __name__)

    @routes.get(PATH)
    def openapi() -> ResponseReturnValue:
        return jsonify(document(service.settings))

    return routes


def document(settings: Settings) -> Json:
    """Return the OpenAPI document of a worker with `settings`."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Wanwu",
            "version": VERSION,
            "description": "Image classification. Errors are an `Error`, below /v1 and /v2 a `ProtocolError`; "
            "repeat a 503. "
            f"A body, which may be compressed as gzip or deflate, has at most {settings.max_body_mb * MEBIBYTE} bytes, "
            "inflated, too. " + BOUNDS,
        },
        "paths": _paths(settings),
        "security": [{}, *({name: []} for name in SECURITY)],
        "components": {"schemas": components(), "securitySchemes": SECURITY},
    }


def _paths(settings: Settings) -> Json:
    """Return the operations by path and method; two modules may have methods of one path."""
    paths: Json = {}
    for api in APIS:
        for path, operations in api.paths(settings).items():
            paths.setdefault(path, {}).update(operations)
    return paths | {PATH: {"get": get("This document", {"type": "object"})}}
