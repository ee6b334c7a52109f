"""`/v2`: the Open Inference Protocol over HTTP, with the binary tensors that Triton's client sends by default.

Input `image`: BYTES [N], each an encoded image (base64 in JSON). Output `scores`: FP32 [N, classes], or, with the
parameter `classification` = k, BYTES [N, k] of "score:index:label", best first. If a model has attributes, `scores`
covers all classes, and `classification` only those that compete for the label.
"""

import numpy as np
from flask import Blueprint, Response, g, jsonify, request
from flask.typing import ResponseReturnValue

from worker.api.operations import NAME, PROTOCOL_ERROR, VERSIONED, about, get, post, probe, responses
from worker.api.routes import triton
from worker.api.routes.tensors import HEADER_LENGTH, INPUT, OUTPUT, InferRequest, Output, encode_answer, read_request
from worker.api.schemas import BYTES, COUNT, IN_BASE64, TEXT, TRUTH, Json, list_of, object_of, ref, such_as
from worker.api.service import Loaded, Service
from worker.api.uploads import check_answer
from worker.contract.languages import BOTH
from worker.contract.limits import MAX_IDENTIFIER_CHARACTERS, MAX_PREDICTIONS, MAX_SCORES
from worker.contract.settings import Settings
from worker.contract.version import VERSION
from worker.pipeline.admission import Deadline
from worker.pipeline.classifier import Classification

SERVER = {"name": "wanwu", "version": VERSION, "extensions": triton.EXTENSIONS}
BINARY = "application/octet-stream"


def blueprint(service: Service) -> Blueprint:
    """Return the routes, bound to `service`; every route of a model exists with and without a version."""
    routes = Blueprint("inference_protocol", __name__, url_prefix="/v2")
    routes.register_blueprint(triton.blueprint(service))

    @routes.get("")
    def server() -> ResponseReturnValue:
        return jsonify(SERVER)

    @routes.get("/health/live")
    def live() -> ResponseReturnValue:
        return jsonify(live=True)

    @routes.get("/health/ready")
    def ready() -> ResponseReturnValue:
        return jsonify(ready=service.ready), 200 if service.ready else 503

    @routes.get("/models/<name>")
    @routes.get("/models/<name>/versions/<version>")
    def metadata(name: str, version: str | None = None) -> ResponseReturnValue:
        return jsonify(_metadata(service, service.model(name, version)))

    @routes.get("/models/<name>/ready")
    @routes.get("/models/<name>/versions/<version>/ready")
    def model_ready(name: str, version: str | None = None) -> ResponseReturnValue:
        service.model(name, version)
        return jsonify(name=name, ready=service.ready), 200 if service.ready else 503

    @routes.post("/models/<name>/infer")
    @routes.post("/models/<name>/versions/<version>/infer")
    def infer(name: str, version: str | None = None) -> ResponseReturnValue:
        model = service.model(name, version)
        sent = read_request(g.body.read(), request.headers.get(HEADER_LENGTH), service.settings.max_images)
        _check_answer(model, sent)
        deadline: Deadline = g.context.deadline
        results = service.classify(model, sent.images, deadline)
        if error := next((result for result in results if isinstance(result, Exception)), None):
            raise error
        logits = np.stack([result.logits for result in results if isinstance(result, Classification)])
        answered = _answer(service, model, sent, model.folder.output.scores(logits))
        deadline.left()
        return answered

    return routes


def paths(settings: Settings) -> Json:
    """Describe the routes, with Triton's among them."""
    return {
        "/v2/health/live": {"get": get("Is the server alive?", object_of(live=TRUTH))},
        "/v2/health/ready": {"get": probe("Does every model answer?", object_of(ready=TRUTH))},
        "/v2": {"get": get("The server", object_of(name=TEXT, version=TEXT, extensions=list_of(TEXT)))},
        **triton.paths(),
        **_paths_of_a_model("/v2/models/{name}", settings, NAME),
        **_paths_of_a_model("/v2/models/{name}/versions/{version}", settings, NAME, VERSIONED),
    }


def _paths_of_a_model(path: str, settings: Settings, *named: Json) -> Json:
    ready = object_of(name=TEXT, ready=TRUTH)
    answer = object_of(model_name=TEXT, model_version=TEXT, id=TEXT, outputs=list_of({"type": "object"}))
    infer = post(
        "The Open Inference Protocol: images as BYTES [N], in JSON as base64 or as binary tensor data",
        list(named),
        {"application/json": _sent(settings.max_images), BINARY: BYTES},
        responses(answer, BINARY, error=PROTOCOL_ERROR),
    )
    return {
        path: {"get": about("A model's inputs and outputs", ref("Metadata"), *named)},
        **triton.paths_of_a_model(path, *named),
        f"{path}/ready": {"get": about("Does the model answer?", ready, *named, not_yet=ready)},
        f"{path}/infer": {"post": infer},
    }


def _sent(max_images: int) -> Json:
    """Return the schema of a request to infer, in JSON."""
    images = list_of({"anyOf": [IN_BASE64, list_of(IN_BASE64, 1)]}, max_images)
    shape = such_as(list_of(COUNT, 2), [1])
    tensor = object_of(name={"const": INPUT}, datatype={"const": "BYTES"}, shape=shape, data=images)
    options = {"type": "object", "properties": {"binary_data": TRUTH, "classification": COUNT}}
    output = object_of(name={"const": OUTPUT}, parameters=options) | {"required": ["name"]}
    inputs, outputs = list_of(tensor, 1) | {"minItems": 1}, list_of(output, 1) | {"minItems": 1}
    identifier = TEXT | {"maxLength": MAX_IDENTIFIER_CHARACTERS}
    return object_of(id=identifier, inputs=inputs, outputs=outputs) | {"required": ["inputs"]}


def _metadata(service: Service, model: Loaded) -> dict[str, object]:
    return {
        "name": service.settings.model,
        "versions": [model.folder.version],
        "platform": model.engine,
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, model.folder.output.labels.count]}],
    }


def _check_answer(model: Loaded, sent: InferRequest) -> None:
    count, wanted = model.folder.output.labels.count, sent.output.classification
    if wanted:
        check_answer(len(sent.images), min(wanted, count), MAX_PREDICTIONS)
    else:
        check_answer(len(sent.images), count, MAX_SCORES)


def _answer(service: Service, model: Loaded, sent: InferRequest, scores: np.ndarray) -> Response:
    head = {
        "model_name": service.settings.model,
        "model_version": model.folder.version,
        "id": sent.identifier or g.context.request_id,
    }
    body, header_length = encode_answer(head, sent.output, _tensor(model, sent.output, scores))
    if header_length is None:
        return Response(body, content_type="application/json")
    answer = Response(body, content_type=BINARY)
    answer.headers[HEADER_LENGTH] = str(header_length)
    return answer


def _tensor(model: Loaded, output: Output, scores: np.ndarray) -> np.ndarray:
    """Return the output as float32 [N, classes], or as an object array [N, k] of "score:index:label"."""
    if output.classification == 0:
        return scores.astype(np.float32)
    own = model.folder.output
    rows = [
        [f"{row[index]:.6f}:{index}:{own.labels.name(index, BOTH)}" for index in own.best(row, output.classification)]
        for row in scores
    ]
    return np.array(rows, dtype=object)
