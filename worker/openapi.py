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
from worker.labels import ACTIVATIONS, LANGUAGES
from worker.parameters import BOTH, HUGGING_FACE, PREDICT, Parameters
from worker.settings import Settings

Json = dict[str, Any]

DEFAULTS = Parameters()
TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "number"}
COUNT: Json = {"type": "integer", "minimum": 0}
NAMES: Json = {"type": ["string", "null"]}
PARAMETERS: dict[str, Json] = {
    "top_k": {"type": "integer", "minimum": 1, "default": DEFAULTS.top_k},
    "threshold": {"type": "number", "minimum": 0, "maximum": 1, "default": DEFAULTS.threshold},
    "labels": {"enum": [*LANGUAGES, BOTH], "default": DEFAULTS.labels},
    "model": TEXT,
    "function_to_apply": {"enum": list(ACTIVATIONS)},
}
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
            "description": "Image classification. Errors always have the shape of `Error`; 503 may be tried again.",
        },
        "paths": {
            "/predict": {"post": _predict(settings)},
            "/models/{name}": {"post": _hugging_face()},
            "/v2": {"get": _get("The server", _object(name=TEXT, version=TEXT, extensions=_list(TEXT)))},
            "/v2/health/live": {"get": _get("Is the server alive?", _object(live={"type": "boolean"}))},
            "/v2/health/ready": {"get": _get("Does every model answer?", _object(ready={"type": "boolean"}), 503)},
            "/v2/models/{name}": {
                "get": _get("A model's inputs and outputs", {"type": "object"}, 404, 503, named=True)
            },
            "/v2/models/{name}/ready": {
                "get": _get(
                    "Does the model answer?", _object(name=TEXT, ready={"type": "boolean"}), 404, 503, named=True
                )
            },
            "/v2/models/{name}/infer": {"post": _infer()},
            "/livez": {"get": _get("Is the process alive?", _object(status=TEXT), 503)},
            "/readyz": {"get": _get("Is it ready?", {"type": "object"}, 503)},
            "/openapi.json": {"get": _get("This document", {"type": "object"})},
        },
        "components": {"schemas": _schemas()},
    }


def _predict(settings: Settings) -> Json:
    """Parameters may stand in the query or in the body, so the document names them in both."""
    own = {name: PARAMETERS[name] for name in PREDICT}
    image = {"type": "string", "format": "binary"}
    return {
        "summary": f"Classify one image, or up to {settings.max_images}",
        "parameters": [{"name": name, "in": "query", "schema": schema} for name, schema in own.items()],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": _closed(required=["image"], image=_list(image, settings.max_images), **own),
                },
                **{mime: {"schema": image} for mime in MIME_TYPES},
                "application/json": {"schema": _inputs(own)},
            },
        },
        "responses": _responses({"oneOf": [_ref("Answer"), _ref("Answers")]}),
    }


def _hugging_face() -> Json:
    own = {name: PARAMETERS[name] for name in HUGGING_FACE}
    return {
        "summary": "The Hugging Face Inference API for image classification",
        "parameters": [_named(), *({"name": name, "in": "query", "schema": own[name]} for name in own)],
        "requestBody": {
            "required": True,
            "content": {
                **{mime: {"schema": {"type": "string", "format": "binary"}} for mime in MIME_TYPES},
                "application/json": {"schema": _inputs(own)},
            },
        },
        "responses": _responses(_list(_object(label=TEXT, score=NUMBER))),
    }


def _infer() -> Json:
    tensor = _object(name={"const": "image"}, datatype={"const": "BYTES"}, shape=_list(COUNT), data=_list(TEXT))
    return {
        "summary": "The Open Inference Protocol: images as BYTES [N] (in JSON: base64)",
        "parameters": [_named()],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _object(inputs=_list(tensor, 1) | {"minItems": 1})}},
        },
        "responses": _responses({"type": "object", "required": ["model_name", "model_version", "outputs"]}),
    }


def _get(summary: str, schema: Json, *others: int, named: bool = False) -> Json:
    responses: Json = {"200": _content("The answer", schema)}
    responses |= {str(status): _content("Not now, or not here", {"type": "object"}) for status in others}
    return {"summary": summary, "responses": responses} | ({"parameters": [_named()]} if named else {})


def _responses(schema: Json) -> Json:
    refusals = {str(kind.status): _content(kind.code, _ref("Error")) for kind in REFUSALS}
    return {"200": _content("The answer", schema), **refusals}


def _schemas() -> Json:
    prediction = _object(
        label=TEXT, label_en=NAMES, label_zh=NAMES, index=COUNT, score=NUMBER,
    )  # fmt: skip
    timing = {"type": "object", "additionalProperties": NUMBER, "required": ["total"]}
    about: Json = {"model": TEXT, "version": TEXT, "worker": TEXT, "request_id": TEXT}
    error = {"code": TEXT, "message": TEXT}
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


def _named() -> Json:
    return {"name": "name", "in": "path", "required": True, "schema": TEXT}


def _content(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
