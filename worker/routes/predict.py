"""`POST /predict`: this project's own form. One image gives one answer, several give a list of results."""

import time

from flask import Blueprint, g, jsonify, request
from flask.typing import ResponseReturnValue

from worker.classifier import Classified
from worker.errors import BadParameter, ServiceError
from worker.labels import activate
from worker.parameters import BOTH, PREDICT, Parameters, parse_parameters
from worker.service import Loaded, Service
from worker.uploads import query, read_upload


def blueprint(service: Service) -> Blueprint:
    """The route, bound to `service`."""
    routes = Blueprint("predict", __name__)

    @routes.post("/predict")
    def predict() -> ResponseReturnValue:
        model = service.model()
        upload = read_upload(request, service.settings.max_images)
        parameters = parse_parameters(query(request), upload.parameters, known=PREDICT)
        check_labels(model, parameters)
        service.model(parameters.model)
        results = service.classify(model, [data for _, data in upload.images])
        about = {
            "model": service.settings.model,
            "version": model.folder.version,
            "worker": service.settings.worker,
            "request_id": g.request_id,
        }
        if len(results) > 1:
            rows = [
                {"filename": name} | _result(model, result, parameters)
                for (name, _), result in zip(upload.images, results, strict=True)
            ]
            return jsonify(about | {"results": rows, "timing_ms": {"total": _milliseconds(_elapsed())}})
        if isinstance(results[0], ServiceError):
            raise results[0]
        return jsonify(about | _result(model, results[0], parameters))

    return routes


def check_labels(model: Loaded, parameters: Parameters) -> None:
    """Raise BadParameter when labels are wanted in a language that the model has none in."""
    languages = tuple(model.folder.output.labels.names)
    if parameters.labels not in (BOTH, *languages):
        raise BadParameter(f"this model has labels in {', '.join(languages)}, not in {parameters.labels}")


def _result(model: Loaded, result: Classified | ServiceError, parameters: Parameters) -> dict[str, object]:
    if isinstance(result, ServiceError):
        return result.body()
    output = model.folder.output
    scores = activate(result.logits, output.activation)
    seconds = {
        "queue": result.queue_s,
        "decode": result.decode_s,
        "inference": result.inference_s,
        "total": _elapsed(),
    }
    return {
        "predictions": output.labels.top(scores, parameters.top_k, parameters.threshold, parameters.labels),
        "timing_ms": {stage: _milliseconds(spent) for stage, spent in seconds.items()},
    }


def _elapsed() -> float:
    return time.monotonic() - g.started


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
