"""The contract as an OpenAPI 3.1 document, built from the limits and names that the worker enforces."""

from worker.api.openapi_protocols import NAME, protocol_paths
from worker.api.openapi_responses import ERROR, about, get, probe, refusal, responses
from worker.api.parameters import HUGGING_FACE, PREDICT
from worker.api.schemas import (
    BYTES,
    COUNT,
    IN_TEXT,
    NUMBER,
    PARAMETERS,
    TEXT,
    TRUTH,
    Json,
    closed,
    components,
    list_of,
    object_of,
    ref,
)
from worker.contract.error_codes import ErrorCode
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
from worker.decode import MIME_TYPES

NUMBERED: Json = {"name": "number", "in": "path", "required": True, "schema": COUNT}
PNG = "image/png"
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
        "paths": {
            "/predict": {"post": _predict(settings)},
            "/models": {"get": _models()},
            "/models/{name}": {"get": _model(), "post": _hugging_face()},
            "/models/{name}/examples/{number}": {"get": _example()},
            "/v2/health/live": {"get": get("Is the server alive?", object_of(live=TRUTH))},
            "/v2/health/ready": {"get": probe("Does every model answer?", object_of(ready=TRUTH))},
            **protocol_paths(settings),
            "/livez": {"get": probe("Is the process alive?", object_of(status={"enum": ["alive", "stuck"]}))},
            "/readyz": {"get": probe("Is it ready?", ref("Report"))},
            "/openapi.json": {"get": get("This document", {"type": "object"})},
        },
        "security": [{}, *({name: []} for name in SECURITY)],
        "components": {"schemas": components(), "securitySchemes": SECURITY},
    }


def _predict(settings: Settings) -> Json:
    """Describe /predict; its parameters may come in the query or in the body, so both list them."""
    own = {name: PARAMETERS[name] for name in PREDICT}
    in_text = {name: IN_TEXT[name] for name in PREDICT}
    return {
        "summary": f"Classify one image, or up to {settings.max_images}",
        "parameters": [{"name": name, "in": "query", "schema": schema} for name, schema in in_text.items()],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": closed(required=["image"], image=list_of(BYTES, settings.max_images), **in_text),
                },
                **{mime: {"schema": BYTES} for mime in MIME_TYPES.values()},
                "application/json": {"schema": _inputs(own, settings.max_images)},
            },
        },
        "responses": responses({"oneOf": [ref("Answer"), ref("Answers")]}, PNG),
    }


def _models() -> Json:
    models = object_of(models=list_of(ref("Model")))
    return get("What is served", models, **{"503": refusal(ERROR, ErrorCode.NOT_READY)})


def _model() -> Json:
    return about("What a model knows and takes", ref("Model"), NAME, error=ERROR)


def _example() -> Json:
    found = about("An image to try the model on", {}, NAME, NUMBERED, error=ERROR)
    found["responses"]["404"] = refusal(ERROR, ErrorCode.UNKNOWN_MODEL, ErrorCode.UNKNOWN_EXAMPLE)
    found["responses"]["200"]["content"] = {mime: {"schema": BYTES} for mime in MIME_TYPES.values()}
    return found


def _hugging_face() -> Json:
    own = {name: PARAMETERS[name] for name in HUGGING_FACE}
    return {
        "summary": "The Hugging Face Inference API for image classification, zero-shot likewise",
        "parameters": [NAME, *({"name": name, "in": "query", "schema": IN_TEXT[name]} for name in own)],
        "requestBody": {
            "required": True,
            "content": {
                **{mime: {"schema": BYTES} for mime in MIME_TYPES.values()},
                "application/json": {"schema": _inputs(own, 1, options={"type": ["object", "null"]})},
            },
        },
        "responses": responses(list_of(object_of(label=TEXT, score=NUMBER))),
    }


def _inputs(parameters: dict[str, Json], most: int, **more: Json) -> Json:
    own = {"type": "object", "properties": parameters, "additionalProperties": False}
    image = {"type": "string", "contentEncoding": "base64"}
    inputs = {"anyOf": [image, list_of(image, most) | {"minItems": 1}]}
    return closed(required=["inputs"], inputs=inputs, parameters=own, **more)
