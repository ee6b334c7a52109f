"""`/v1`: the REST API of TensorFlow Serving, which KServe's v1 protocol shares, for images in base64.

A request lists `instances` (rows), or has `inputs` (columns). An instance is {"b64": "<base64>"}, an object with one
such value under any name, or base64 text; its `key`, if any, is repeated in the answer. The answer's `predictions` have
the best classes of each instance: `labels`, `classes` (their indices) and `scores`, best first.
"""

from typing import Any

import msgspec
from flask import Blueprint, g, jsonify
from flask.typing import ResponseReturnValue

from worker.api import json_text
from worker.api.base64_text import decode_base64
from worker.api.best_classes import best_classes, model_and_parameters
from worker.api.operations import NAME, PROTOCOL_ERROR, VERSIONED, about, get, in_json, in_query, post, responses
from worker.api.parameters import HUGGING_FACE, Parameters
from worker.api.schemas import COUNT, IN_BASE64, NUMBER, TEXT, TRUTH, Json, list_of, object_of
from worker.api.service import Loaded, Service
from worker.api.uploads import check_answer, check_count
from worker.contract.errors import ErrorCode, ServiceError, quoted
from worker.contract.limits import MAX_PREDICTIONS
from worker.contract.settings import Settings
from worker.pipeline.classifier import Classification

NEEDED = 'an object with `instances`, a list of {"b64": "<base64>"}'
KEY, BASE64 = "key", "b64"


class PredictRequest(msgspec.Struct, frozen=True):
    """A request to predict; unknown keys such as `signature_name` are ignored, as both protocols do."""

    instances: list[Any] | None = None
    inputs: Any = None
    parameters: dict[str, Any] | None = None


PREDICT_REQUEST = msgspec.json.Decoder(PredictRequest)


def blueprint(service: Service) -> Blueprint:
    """Return the routes, bound to `service`."""
    routes = Blueprint("tensorflow_serving", __name__, url_prefix="/v1/models")

    @routes.get("")
    def models() -> ResponseReturnValue:
        return jsonify(models=[service.settings.model])

    @routes.get("/<name>")
    @routes.get("/<name>/versions/<version>")
    def status(name: str, version: str | None = None) -> ResponseReturnValue:
        found = service.model(name, version).folder.version
        available = {"version": found, "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        # TensorFlow Serving's answer and KServe's in one.
        return jsonify(name=name, ready=service.ready, model_version_status=[available])

    @routes.post("/<name>:predict")
    @routes.post("/<name>/versions/<version>:predict")
    def predict(name: str, version: str | None = None) -> ResponseReturnValue:
        model = service.model(name, version)
        sent = json_text.parse(g.body.read(), PREDICT_REQUEST, NEEDED)
        instances = _columns(sent.inputs) if sent.instances is None else sent.instances
        if not instances:
            raise ServiceError(ErrorCode.NO_IMAGE, f"found no instance, needed at least one: send {NEEDED}")
        check_count(len(instances), service.settings.max_images)
        model, parameters, deadline = model_and_parameters(service, model, sent.parameters or {})
        check_answer(len(instances), min(parameters.top_k, model.folder.output.labels.count), MAX_PREDICTIONS)
        images = [decode_base64(_text(instance)) for instance in instances]
        results = service.classify(model, images, deadline)
        rows = [
            _prediction(model, parameters, instance, result)
            for instance, result in zip(instances, results, strict=True)
        ]
        deadline.left()
        # TensorFlow Serving answers columns in columns; KServe knows `predictions` alone.
        columns = {name: [row[name] for row in rows] for name in ("labels", "classes", "scores")}
        return jsonify({"predictions": rows} | ({"outputs": columns} if sent.instances is None else {}))

    return routes


def _columns(inputs: Any) -> list[Any]:
    """Return the instances in `inputs`: one or a list, by themselves or under the only name of an object."""
    if isinstance(inputs, dict) and len(inputs) == 1 and BASE64 not in inputs:
        inputs = next(iter(inputs.values()))
    return inputs if isinstance(inputs, list) else [] if inputs is None else [inputs]


def _text(instance: Any) -> str:
    """Return the base64 text in `instance`; raise ServiceError BAD_REQUEST if there is none, or more than one."""
    found = instance
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if isinstance(found, dict) and BASE64 not in found:
        values = [value for name, value in found.items() if name != KEY]
        found = values[0] if len(values) == 1 else None
    if isinstance(found, dict):
        found = found.get(BASE64)
    if not isinstance(found, str):
        raise ServiceError(
            ErrorCode.BAD_REQUEST,
            f'found the instance {quoted(instance)}, needed one encoded image in base64: send {{"b64": "<base64>"}}',
        )
    return found


def _prediction(
    model: Loaded, parameters: Parameters, instance: Any, result: Classification | Exception
) -> dict[str, Any]:
    rows = best_classes(model, result, parameters)
    columns = {"labels": "label", "classes": "index", "scores": "score"}
    found = {column: [row[name] for row in rows] for column, name in columns.items()}
    return found | ({KEY: instance[KEY]} if isinstance(instance, dict) and KEY in instance else {})


def paths(settings: Settings) -> Json:
    """Describe the routes."""
    return {
        "/v1/models": {"get": get("The models' names", object_of(models=list_of(TEXT)))},
        **_of_a_model("/v1/models/{name}", settings, NAME),
        **_of_a_model("/v1/models/{name}/versions/{version}", settings, NAME, VERSIONED),
    }


def _of_a_model(path: str, settings: Settings, *named: Json) -> Json:
    version = object_of(version=TEXT, state=TEXT, status=object_of(error_code=TEXT, error_message=TEXT))
    status = object_of(name=TEXT, ready=TRUTH, model_version_status=list_of(version))
    instances = list_of(object_of(b64=IN_BASE64), settings.max_images) | {"minItems": 1}
    sent = object_of(instances=instances, parameters=in_json(*HUGGING_FACE)) | {"required": ["instances"]}
    row = object_of(labels=list_of(TEXT), classes=list_of(COUNT), scores=list_of(NUMBER))
    predict = post(
        "TensorFlow Serving and KServe's v1 protocol: the best classes of each instance",
        [*named, *in_query(*HUGGING_FACE)],
        {"application/json": sent},
        responses(object_of(predictions=list_of(row)), error=PROTOCOL_ERROR),
    )
    return {path: {"get": about("A model's state", status, *named)}, f"{path}:predict": {"post": predict}}
