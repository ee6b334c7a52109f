"""TorchServe's inference API: `/predictions/{name}`, answered as its image_classifier handler does, and `/ping`."""

import re

import msgspec
from flask import Blueprint, g, jsonify, request
from flask.typing import ResponseReturnValue

from worker.api.candidates import take_candidates
from worker.api.parameters import HUGGING_FACE, parse_parameters
from worker.api.service import Service
from worker.api.uploads import FIELDS, JsonUpload, query, read_upload
from worker.contract.errors import ServiceError
from worker.pipeline.admission import Deadline

PATH = "/predictions/"
FORM_FIELDS = re.compile(rf"data|body|{FIELDS.pattern}")


class DataUpload(JsonUpload, frozen=True):
    """An image in JSON under the name that TorchServe's handlers look for."""

    inputs: str | list[str] | None = msgspec.field(default=None, name="data")


DATA_UPLOAD = msgspec.json.Decoder(DataUpload)


def blueprint(service: Service) -> Blueprint:
    """Return the routes, bound to `service`."""
    routes = Blueprint("torchserve", __name__)

    @routes.route(f"{PATH}<name>", methods=["POST", "PUT"])
    @routes.route(f"{PATH}<name>/<version>", methods=["POST", "PUT"])
    def classify(name: str, version: str | None = None) -> ResponseReturnValue:
        model = service.model(name, version)
        upload = read_upload(request, 1, FORM_FIELDS, DATA_UPLOAD)
        candidates, parts = take_candidates(query(request), upload.parameters)
        deadline: Deadline = g.context.deadline
        model = service.with_candidates(model, candidates, deadline)
        output = model.folder.output
        parameters = parse_parameters(*parts, known=HUGGING_FACE, output=output)
        (result,) = service.classify(model, [upload.images[0][1]], deadline)
        if isinstance(result, ServiceError):
            raise result
        scores = output.scores(result.logits, parameters.function_to_apply)
        rows = output.predictions(scores, parameters.top_k, parameters.threshold, parameters.labels)
        best: dict[str, object] = {}
        for row in rows:  # of classes that share a label the better score stays
            best.setdefault(str(row["label"]), row["score"])
        answered = jsonify(best)
        deadline.left()
        return answered

    @routes.get("/ping")
    def ping() -> ResponseReturnValue:
        return jsonify(status="Healthy" if service.ready else "Unhealthy"), 200 if service.ready else 500

    return routes
