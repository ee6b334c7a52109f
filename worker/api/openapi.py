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
PING: Json = object_of(status={"enum": ["Healthy", "Unhealthy"]})
CONFIG: Json = object_of(
    name=TEXT, platform=TEXT, backend=TEXT, max_batch_size=COUNT, input=list_of({"type": "object"}),
    output=list_of({"type": "object"}),
)  # fmt: skip
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
            "/v2": {"get": _get("The server", object_of(name=TEXT, version=TEXT, extensions=list_of(TEXT)))},
            "/v2/health/live": {"get": _get("Is the server alive?", object_of(live=TRUTH))},
            "/v2/health/ready": {"get": _probe("Does every model answer?", object_of(ready=TRUTH))},
            **_model_paths(settings, NAME),
            **_model_paths(settings, NAME, VERSIONED),
            "/v2/models/stats": {"get": _get("What the worker has answered", _statistics())},
            "/v2/repository/index": {"post": _get("The models and their states", list_of(_index_row()))},
            **_tensorflow_paths(settings, NAME),
            **_tensorflow_paths(settings, NAME, VERSIONED),
            "/v1/models": {"get": _get("The models' names", object_of(models=list_of(TEXT)))},
            "/predictions/{name}": dict.fromkeys(("post", "put"), _torchserve(NAME)),
            "/predictions/{name}/{version}": dict.fromkeys(("post", "put"), _torchserve(NAME, VERSIONED)),
            "/ping": {"get": _get("Is it ready?", PING, **{"500": _content("No", PING)})},
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
        f"{path}/config": {"get": _about("A model's configuration, as Triton writes it", CONFIG, *named)},
        f"{path}/stats": {"get": _about("What the worker has answered", _statistics(), *named)},
        f"{path}/ready": {"get": _about("Does the model answer?", ready, *named, not_yet=ready)},
        f"{path}/infer": {"post": _infer(settings, *named)},
    }


def _statistics() -> Json:
    """Return the schema of Triton's statistics: a worker's own, since it started."""
    duration = object_of(count=COUNT, ns=COUNT)
    stages = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss")
    stats = object_of(**dict.fromkeys(stages, duration))
    one = object_of(
        name=TEXT, version=TEXT, last_inference=COUNT, inference_count=COUNT, execution_count=COUNT,
        inference_stats=stats, batch_stats=list_of({"type": "object"}),
    )  # fmt: skip
    return object_of(model_stats=list_of(one))


def _index_row() -> Json:
    return object_of(name=TEXT, version=TEXT, state={"enum": ["READY", "UNAVAILABLE"]}, reason=TEXT)


def _tensorflow_paths(settings: Settings, *named: Json) -> Json:
    """Return the routes of TensorFlow Serving and KServe's v1 protocol, with or without a version."""
    path = "/v1/models/{name}" + ("/versions/{version}" if VERSIONED in named else "")
    version = object_of(version=TEXT, state=TEXT, status=object_of(error_code=TEXT, error_message=TEXT))
    status = object_of(name=TEXT, ready=TRUTH, model_version_status=list_of(version))
    return {
        path: {"get": _about("A model's state", status, *named)},
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
        "responses": _responses(object_of(predictions=list_of(row)), error=PROTOCOL_ERROR),
    }


def _torchserve(*named: Json) -> Json:
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
        "responses": _responses({"type": "object", "additionalProperties": NUMBER}, error=ref("TorchServeError")),
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
                "application/json": {"schema": _inputs(own, 1)},
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


def _inputs(parameters: dict[str, Json], most: int) -> Json:
    options = {"type": "object", "properties": parameters, "additionalProperties": False}
    image = {"type": "string", "contentEncoding": "base64"}
    inputs = {"anyOf": [image, list_of(image, most) | {"minItems": 1}]}
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
