"""The contract as an OpenAPI 3.1 document, built from the limits and names that the worker enforces."""

from worker.api.parameters import HUGGING_FACE, PREDICT
from worker.api.routes.tensors import INPUT, OUTPUT
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
from worker.contract.error_codes import ErrorCode, Sender
from worker.contract.limits import (
    MAX_FIELD_BYTES,
    MAX_FORM_HEADER_BYTES,
    MAX_FORM_PARTS,
    MAX_IDENTIFIER_CHARACTERS,
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

NAME: Json = {"name": "name", "in": "path", "required": True, "schema": TEXT}
NUMBERED: Json = {"name": "number", "in": "path", "required": True, "schema": COUNT}
VERSIONED: Json = {"name": "version", "in": "path", "required": True, "schema": TEXT}
BINARY, PNG = "application/octet-stream", "image/png"
ERROR, PROTOCOL_ERROR = ref("Error"), ref("ProtocolError")
IDENTIFIER: Json = TEXT | {"maxLength": MAX_IDENTIFIER_CHARACTERS}
BOUNDS = (
    f"JSON has at most {MAX_JSON_VALUES} commas and {MAX_JSON_CONTAINERS} lists "
    f"and objects; a form at most {MAX_FORM_PARTS} parts, each with {MAX_PART_HEADER_BYTES} bytes of headers, "
    f"{MAX_FORM_HEADER_BYTES} in all, and {MAX_FIELD_BYTES} bytes in a parameter; an answer at most {MAX_PREDICTIONS} "
    f"classes with labels or {MAX_SCORES} scores."
)
NOT_TO_IMAGES = (ErrorCode.UNKNOWN_EXAMPLE, ErrorCode.UNKNOWN_ROUTE, ErrorCode.METHOD_NOT_ALLOWED)


def document(settings: Settings) -> Json:
    """Return the OpenAPI document of a worker with `settings`."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Wanwu",
            "version": VERSION,
            "description": "Image classification. Errors are an `Error`, below /v2 a `ProtocolError`; repeat a 503. "
            f"A body, which may be compressed as gzip or deflate, has at most {settings.max_body_mb * MEBIBYTE} bytes, "
            "inflated, too. " + BOUNDS,
        },
        "paths": {
            "/predict": {"post": _predict(settings)},
            "/models": {"get": _models()},
            "/models/{name}": {"get": _model(), "post": _hugging_face()},
            "/models/{name}/examples/{number}": {"get": _example()},
            "/v2": {"get": _get("The server", object_of(name=TEXT, version=TEXT, extensions=list_of(TEXT)))},
            "/v2/health/live": {"get": _get("Is the server alive?", object_of(live=TRUTH))},
            "/v2/health/ready": {"get": _probe("Does every model answer?", object_of(ready=TRUTH))},
            **_model_paths(settings, NAME),
            **_model_paths(settings, NAME, VERSIONED),
            "/livez": {"get": _probe("Is the process alive?", object_of(status={"enum": ["alive", "stuck"]}))},
            "/readyz": {"get": _probe("Is it ready?", ref("Report"))},
            "/openapi.json": {"get": _get("This document", {"type": "object"})},
        },
        "components": {"schemas": components()},
    }


def _model_paths(settings: Settings, *named: Json) -> Json:
    """Return the Open Inference Protocol's routes of a model, with or without a version."""
    path = "/v2/models/{name}" + ("/versions/{version}" if VERSIONED in named else "")
    ready = object_of(name=TEXT, ready=TRUTH)
    return {
        path: {"get": _about("A model's inputs and outputs", ref("Metadata"), *named)},
        f"{path}/ready": {"get": _about("Does the model answer?", ready, *named, not_yet=ready)},
        f"{path}/infer": {"post": _infer(settings, *named)},
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
                "application/json": {"schema": _inputs(own)},
            },
        },
        "responses": _responses({"oneOf": [ref("Answer"), ref("Answers")]}, PNG),
    }


def _models() -> Json:
    models = object_of(models=list_of(ref("Model")))
    return _get("What is served", models, **{"503": _refusal(ERROR, ErrorCode.NOT_READY)})


def _model() -> Json:
    return _about("What a model knows and takes", ref("Model"), NAME, error=ERROR)


def _example() -> Json:
    found = _about("An image to try the model on", {}, NAME, NUMBERED, error=ERROR)
    found["responses"]["404"] = _refusal(ERROR, ErrorCode.UNKNOWN_MODEL, ErrorCode.UNKNOWN_EXAMPLE)
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
                "application/json": {"schema": _inputs(own)},
            },
        },
        "responses": _responses(list_of(object_of(label=TEXT, score=NUMBER))),
    }


def _infer(settings: Settings, *named: Json) -> Json:
    images = list_of(TEXT, settings.max_images)
    tensor = object_of(name={"const": INPUT}, datatype={"const": "BYTES"}, shape=list_of(COUNT, 2), data=images)
    options = {"type": "object", "properties": {"binary_data": TRUTH, "classification": COUNT}}
    output = object_of(name={"const": OUTPUT}, parameters=options) | {"required": ["name"]}
    inputs, outputs = list_of(tensor, 1) | {"minItems": 1}, list_of(output, 1) | {"minItems": 1}
    answer = object_of(model_name=TEXT, model_version=TEXT, id=TEXT, outputs=list_of({"type": "object"}))
    return {
        "summary": "The Open Inference Protocol: images as BYTES [N], in JSON as base64 or as binary tensor data",
        "parameters": list(named),
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": object_of(id=IDENTIFIER, inputs=inputs, outputs=outputs) | {"required": ["inputs"]}
                },
                BINARY: {"schema": BYTES},
            },
        },
        "responses": _responses(answer, BINARY, error=PROTOCOL_ERROR),
    }


def _inputs(parameters: dict[str, Json]) -> Json:
    options = {"type": "object", "properties": parameters, "additionalProperties": False}
    inputs = {"type": "string", "contentEncoding": "base64"}
    return closed(required=["inputs"], inputs=inputs, parameters=options)


def _get(summary: str, schema: Json, **others: Json) -> Json:
    return {"summary": summary, "responses": {"200": _content("The answer", schema), **others}}


def _probe(summary: str, schema: Json) -> Json:
    return _get(summary, schema, **{"503": _content("No", schema)})


def _about(summary: str, schema: Json, *named: Json, not_yet: Json | None = None, error: Json = PROTOCOL_ERROR) -> Json:
    # A known model that is not ready answers in its own form, without the Retry-After header of an error.
    unready = _refusal(error, ErrorCode.NOT_READY)
    if not_yet:
        unready = _content(ErrorCode.NOT_READY.value, {"anyOf": [error, not_yet]})
    unknown = _refusal(error, ErrorCode.UNKNOWN_MODEL)
    return _get(summary, schema, **{"404": unknown, "503": unready}) | {"parameters": list(named)}


def _responses(schema: Json, *binary: str, error: Json = ERROR) -> Json:
    answer = _content("The answer", schema)
    answer["content"] |= {kind: {"schema": BYTES} for kind in binary}
    return {"200": answer, **_refusals(error)}


def _refusals(error: Json) -> Json:
    """Return the errors that a worker may answer to an image, by status."""
    by_status: dict[str, list[ErrorCode]] = {}
    for code in ErrorCode:
        if code.sender is not Sender.GATEWAY and code not in NOT_TO_IMAGES:
            by_status.setdefault(str(code.status), []).append(code)
    return {status: _refusal(error, *codes) for status, codes in by_status.items()}


def _refusal(error: Json, *codes: ErrorCode) -> Json:
    """Return the response of one status, which all `codes` share."""
    refusal = _content(", ".join(codes), error)
    if codes[0].retry_after_s is not None:
        refusal["headers"] |= {"Retry-After": {"required": True, "schema": COUNT}}
    return refusal


def _content(description: str, schema: Json) -> Json:
    headers = {"X-Request-ID": {"required": True, "schema": TEXT}}
    return {"description": description, "headers": headers, "content": {"application/json": {"schema": schema}}}
