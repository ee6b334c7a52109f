"""The contract as an OpenAPI 3.1 document, made from the same limits and names that the worker obeys."""

from typing import Any

from worker.decode import MIME_TYPES
from worker.errors import (
    BadRequest,
    BodyTooLarge,
    DeadlinePassed,
    NotReady,
    QueueFull,
    ServiceError,
    Undecodable,
    UnknownModel,
    UnsupportedType,
)
from worker.health import BROKEN, DRAINING, READY, STARTING
from worker.labels import ACTIVATIONS, LANGUAGES
from worker.parameters import BOTH, HUGGING_FACE, PREDICT, Parameters
from worker.routes.tensors import INPUT, OUTPUT
from worker.settings import Settings

Json = dict[str, Any]

DEFAULTS = Parameters()
TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "number"}
COUNT: Json = {"type": "integer", "minimum": 0}
TRUTH: Json = {"type": "boolean"}
BYTES: Json = {"type": "string", "format": "binary"}
NAMES: Json = {"type": ["string", "null"]}
NAME: Json = {"name": "name", "in": "path", "required": True, "schema": TEXT}
VERSION: Json = {"name": "version", "in": "path", "required": True, "schema": TEXT}
BINARY = "application/octet-stream"
PARAMETERS: dict[str, Json] = {
    "top_k": {"type": "integer", "minimum": 1, "default": DEFAULTS.top_k},
    "threshold": {"type": "number", "minimum": 0, "maximum": 1, "default": DEFAULTS.threshold},
    "labels": {"enum": [*LANGUAGES, BOTH], "default": DEFAULTS.labels},
    "model": TEXT,
    "function_to_apply": {"enum": list(ACTIVATIONS)},
}
ERROR: Json = {"$ref": "#/components/schemas/Error"}
PROTOCOL_ERROR: Json = {"$ref": "#/components/schemas/ProtocolError"}
REFUSALS: tuple[type[ServiceError], ...] = (
    BadRequest, UnknownModel, BodyTooLarge, UnsupportedType, Undecodable,
    QueueFull, ServiceError, NotReady, DeadlinePassed,
)  # fmt: skip


def document(settings: Settings) -> Json:
    """The OpenAPI document of a worker with `settings`."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Wanwu",
            "version": "1",
            "description": "Image classification. Errors are an `Error`, below /v2 a `ProtocolError`; repeat a 503.",
        },
        "paths": {
            "/predict": {"post": _predict(settings)},
            "/models/{name}": {"post": _hugging_face()},
            "/v2": {"get": _get("The server", _object(name=TEXT, version=TEXT, extensions=_list(TEXT)))},
            "/v2/health/live": {"get": _get("Is the server alive?", _object(live=TRUTH))},
            "/v2/health/ready": {"get": _probe("Does every model answer?", _object(ready=TRUTH))},
            **_model_paths(NAME),
            **_model_paths(NAME, VERSION),
            "/livez": {"get": _probe("Is the process alive?", _object(status={"enum": ["alive", "stuck"]}))},
            "/readyz": {"get": _probe("Is it ready?", _ref("Report"))},
            "/openapi.json": {"get": _get("This document", {"type": "object"})},
        },
        "components": {"schemas": _schemas()},
    }


def _model_paths(*named: Json) -> Json:
    """The Open Inference Protocol's routes of a model, with its version or without."""
    path = "/v2/models/{name}" + ("/versions/{version}" if VERSION in named else "")
    ready = _object(name=TEXT, ready=TRUTH)
    return {
        path: {"get": _about("A model's inputs and outputs", _ref("Metadata"), *named)},
        f"{path}/ready": {"get": _about("Does the model answer?", ready, *named, not_yet=ready)},
        f"{path}/infer": {"post": _infer(*named)},
    }


def _predict(settings: Settings) -> Json:
    """Parameters may stand in the query or in the body, so the document names them in both."""
    own = {name: PARAMETERS[name] for name in PREDICT}
    return {
        "summary": f"Classify one image, or up to {settings.max_images}",
        "parameters": [{"name": name, "in": "query", "schema": schema} for name, schema in own.items()],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": _closed(required=["image"], image=_list(BYTES, settings.max_images), **own),
                },
                **{mime: {"schema": BYTES} for mime in MIME_TYPES},
                "application/json": {"schema": _inputs(own)},
            },
        },
        "responses": _responses({"oneOf": [_ref("Answer"), _ref("Answers")]}),
    }


def _hugging_face() -> Json:
    own = {name: PARAMETERS[name] for name in HUGGING_FACE}
    return {
        "summary": "The Hugging Face Inference API for image classification",
        "parameters": [NAME, *({"name": name, "in": "query", "schema": own[name]} for name in own)],
        "requestBody": {
            "required": True,
            "content": {
                **{mime: {"schema": BYTES} for mime in MIME_TYPES},
                "application/json": {"schema": _inputs(own)},
            },
        },
        "responses": _responses(_list(_object(label=TEXT, score=NUMBER))),
    }


def _infer(*named: Json) -> Json:
    tensor = _object(name={"const": INPUT}, datatype={"const": "BYTES"}, shape=_list(COUNT), data=_list(TEXT))
    wanted = {"type": "object", "properties": {"binary_data": TRUTH, "classification": COUNT}}
    output = _object(name={"const": OUTPUT}, parameters=wanted) | {"required": ["name"]}
    properties = {"id": TEXT, "inputs": _list(tensor, 1) | {"minItems": 1}, "outputs": _list(output) | {"minItems": 1}}
    answer = _object(model_name=TEXT, model_version=TEXT, id=TEXT, outputs=_list({"type": "object"}))
    return {
        "summary": "The Open Inference Protocol: images as BYTES [N], in JSON as base64 or as binary tensor data",
        "parameters": list(named),
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _object(**properties) | {"required": ["inputs"]}},
                BINARY: {"schema": BYTES},
            },
        },
        "responses": _responses(answer, BINARY, error=PROTOCOL_ERROR),
    }


def _get(summary: str, schema: Json, **others: Json) -> Json:
    return {"summary": summary, "responses": {"200": _content("The answer", schema), **others}}


def _probe(summary: str, schema: Json) -> Json:
    return _get(summary, schema, **{"503": _content("No", schema)})


def _about(summary: str, schema: Json, *named: Json, not_yet: Json | None = None) -> Json:
    unready = _content(NotReady.code, {"anyOf": [PROTOCOL_ERROR, not_yet]} if not_yet else PROTOCOL_ERROR)
    unknown = _content(UnknownModel.code, PROTOCOL_ERROR)
    return _get(summary, schema, **{"404": unknown, "503": unready}) | {"parameters": list(named)}


def _responses(schema: Json, *binary: str, error: Json = ERROR) -> Json:
    answer = _content("The answer", schema)
    answer["content"] |= {kind: {"schema": BYTES} for kind in binary}
    return {"200": answer, **{str(kind.status): _refusal(kind, error) for kind in REFUSALS}}


def _refusal(kind: type[ServiceError], error: Json) -> Json:
    refusal = _content(kind.code, error)
    if kind.retry_after_s is not None:
        refusal["headers"] |= {"Retry-After": {"required": True, "schema": COUNT}}
    return refusal


def _schemas() -> Json:
    prediction = _object(label=TEXT, label_en=NAMES, label_zh=NAMES, index=COUNT, score=NUMBER)
    timing = {"type": "object", "additionalProperties": NUMBER, "required": ["total"]}
    about: Json = {"model": TEXT, "version": TEXT, "worker": TEXT, "request_id": TEXT}
    error = {"code": TEXT, "message": TEXT}
    report = _object(
        state={"enum": [STARTING, READY, DRAINING, BROKEN]}, reason=NAMES, worker=TEXT, slot=TEXT, model=TEXT,
        version=NAMES, engine=NAMES, precision=NAMES, in_flight=COUNT, queued=COUNT,
    )  # fmt: skip
    tensor = _object(name=TEXT, datatype=TEXT, shape=_list({"type": "integer", "minimum": -1}))
    result = {
        "type": "object",
        "required": ["filename"],
        "oneOf": [_object(predictions=_list(_ref("Prediction"))), _object(error=_object(**error))],
    }
    return {
        "Prediction": prediction,
        "Answer": _object(**about, predictions=_list(_ref("Prediction")), timing_ms=timing),
        "Answers": _object(**about, results=_list(result), timing_ms=timing),
        "Error": _object(error=_object(**error, request_id=TEXT)),
        "ProtocolError": _object(error=TEXT, code=TEXT, request_id=TEXT),
        "Report": report,
        "Metadata": _object(
            name=TEXT, versions=_list(TEXT), platform=TEXT, inputs=_list(tensor), outputs=_list(tensor)
        ),
    }


def _inputs(parameters: dict[str, Json]) -> Json:
    options = {"type": "object", "properties": parameters, "additionalProperties": False}
    inputs = {"type": "string", "contentEncoding": "base64"}
    return _closed(required=["inputs"], inputs=inputs, parameters=options)


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _closed(required: list[str], **properties: Json) -> Json:
    return _object(**properties) | {"required": required, "additionalProperties": False}


def _list(items: Json, most: int | None = None) -> Json:
    return {"type": "array", "items": items} | ({"maxItems": most} if most else {})


def _content(description: str, schema: Json) -> Json:
    headers = {"X-Request-ID": {"required": True, "schema": TEXT}}
    return {"description": description, "headers": headers, "content": {"application/json": {"schema": schema}}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
