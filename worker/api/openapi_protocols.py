"""The other servers' protocols in the OpenAPI document: Open Inference, Triton, TensorFlow Serving, TorchServe."""

from worker.api.openapi_responses import PROTOCOL_ERROR, about, content, get, responses
from worker.api.parameters import HUGGING_FACE
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
    list_of,
    object_of,
    ref,
    such_as,
)
from worker.contract.limits import MAX_IDENTIFIER_CHARACTERS
from worker.contract.settings import Settings
from worker.decode import MIME_TYPES

NAME: Json = {"name": "name", "in": "path", "required": True, "schema": TEXT}
VERSIONED: Json = {"name": "version", "in": "path", "required": True, "schema": TEXT}
BINARY = "application/octet-stream"
IDENTIFIER: Json = TEXT | {"maxLength": MAX_IDENTIFIER_CHARACTERS}
PING: Json = object_of(status={"enum": ["Healthy", "Unhealthy"]})
CONFIG: Json = object_of(
    name=TEXT, platform=TEXT, backend=TEXT, max_batch_size=COUNT, input=list_of({"type": "object"}),
    output=list_of({"type": "object"}),
)  # fmt: skip


def protocol_paths(settings: Settings) -> Json:
    """Return the routes of all protocols."""
    return {
        "/v2": {"get": get("The server", object_of(name=TEXT, version=TEXT, extensions=list_of(TEXT)))},
        "/v2/models/stats": {"get": get("What the worker has answered", statistics())},
        "/v2/repository/index": {"post": get("The models and their states", list_of(index_row()))},
        **inference_paths(settings, NAME),
        **inference_paths(settings, NAME, VERSIONED),
        "/v1/models": {"get": get("The models' names", object_of(models=list_of(TEXT)))},
        **tensorflow_paths(settings, NAME),
        **tensorflow_paths(settings, NAME, VERSIONED),
        "/predictions/{name}": dict.fromkeys(("post", "put"), torchserve(NAME)),
        "/predictions/{name}/{version}": dict.fromkeys(("post", "put"), torchserve(NAME, VERSIONED)),
        "/ping": {"get": get("Is it ready?", PING, **{"500": content("No", PING)})},
    }


def inference_paths(settings: Settings, *named: Json) -> Json:
    """Return the Open Inference Protocol's routes of a model, with or without a version."""
    path = "/v2/models/{name}" + ("/versions/{version}" if VERSIONED in named else "")
    ready = object_of(name=TEXT, ready=TRUTH)
    return {
        path: {"get": about("A model's inputs and outputs", ref("Metadata"), *named)},
        f"{path}/config": {"get": about("A model's configuration, as Triton writes it", CONFIG, *named)},
        f"{path}/stats": {"get": about("What the worker has answered", statistics(), *named)},
        f"{path}/ready": {"get": about("Does the model answer?", ready, *named, not_yet=ready)},
        f"{path}/infer": {"post": _infer(settings, *named)},
    }


def _infer(settings: Settings, *named: Json) -> Json:
    image = TEXT | {"contentEncoding": "base64"}
    images = list_of({"anyOf": [image, list_of(image, 1)]}, settings.max_images)
    shape = such_as(list_of(COUNT, 2), [1])
    tensor = object_of(name={"const": INPUT}, datatype={"const": "BYTES"}, shape=shape, data=images)
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
        "responses": responses(answer, BINARY, error=PROTOCOL_ERROR),
    }


def statistics() -> Json:
    """Return the schema of Triton's statistics: a worker's own, since it started."""
    duration = object_of(count=COUNT, ns=COUNT)
    stages = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss")
    stats = object_of(**dict.fromkeys(stages, duration))
    one = object_of(
        name=TEXT, version=TEXT, last_inference=COUNT, inference_count=COUNT, execution_count=COUNT,
        inference_stats=stats, batch_stats=list_of({"type": "object"}),
    )  # fmt: skip
    return object_of(model_stats=list_of(one))


def index_row() -> Json:
    return object_of(name=TEXT, version=TEXT, state={"enum": ["READY", "UNAVAILABLE"]}, reason=TEXT)


def tensorflow_paths(settings: Settings, *named: Json) -> Json:
    """Return the routes of TensorFlow Serving and KServe's v1 protocol, with or without a version."""
    path = "/v1/models/{name}" + ("/versions/{version}" if VERSIONED in named else "")
    version = object_of(version=TEXT, state=TEXT, status=object_of(error_code=TEXT, error_message=TEXT))
    status = object_of(name=TEXT, ready=TRUTH, model_version_status=list_of(version))
    return {
        path: {"get": about("A model's state", status, *named)},
        f"{path}:predict": {"post": _tensorflow_predict(settings, *named)},
    }


def _tensorflow_predict(settings: Settings, *named: Json) -> Json:
    own = {name: PARAMETERS[name] for name in HUGGING_FACE}
    image = object_of(b64={"type": "string", "contentEncoding": "base64"})
    options = {"type": "object", "properties": own, "additionalProperties": False}
    body = object_of(instances=list_of(image, settings.max_images) | {"minItems": 1}, parameters=options)
    row = object_of(labels=list_of(TEXT), classes=list_of(COUNT), scores=list_of(NUMBER))
    return {
        "summary": "TensorFlow Serving and KServe's v1 protocol: the best classes of each instance",
        "parameters": [*named, *({"name": name, "in": "query", "schema": IN_TEXT[name]} for name in own)],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": body | {"required": ["instances"]}}},
        },
        "responses": responses(object_of(predictions=list_of(row)), error=PROTOCOL_ERROR),
    }


def torchserve(*named: Json) -> Json:
    own = {name: IN_TEXT[name] for name in HUGGING_FACE}
    return {
        "summary": "TorchServe: the best classes of one image by their labels, as its image_classifier answers",
        "parameters": [*named, *({"name": name, "in": "query", "schema": schema} for name, schema in own.items())],
        "requestBody": {
            "required": True,
            "content": {
                **{mime: {"schema": BYTES} for mime in MIME_TYPES.values()},
                "multipart/form-data": {"schema": closed(required=["data"], data=BYTES, **own)},
            },
        },
        "responses": responses({"type": "object", "additionalProperties": NUMBER}, error=ref("TorchServeError")),
    }
