"""`POST /models/{name}`: the Hugging Face Inference API for image classification."""

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from worker.errors import BadRequest, ServiceError
from worker.labels import activate
from worker.parameters import HUGGING_FACE, parse_parameters
from worker.routes.predict import check_labels
from worker.service import Service
from worker.uploads import query, read_upload


def blueprint(service: Service) -> Blueprint:
    """The route, bound to `service`."""
    routes = Blueprint("hugging_face", __name__)

    @routes.post("/models/<name>")
    def classify(name: str) -> ResponseReturnValue:
        model = service.model(name)
        upload = read_upload(request, service.settings.max_images)
        if len(upload.images) > 1:
            raise BadRequest(f"{len(upload.images)} images were sent, this route takes one; send many to /predict")
        parameters = parse_parameters(query(request), upload.parameters, known=HUGGING_FACE)
        check_labels(model, parameters)
        (result,) = service.classify(model, [upload.images[0][1]])
        if isinstance(result, ServiceError):
            raise result
        scores = activate(result.logits, parameters.function_to_apply or model.folder.output.activation)
        rows = model.folder.output.labels.top(scores, parameters.top_k, parameters.threshold, parameters.labels)
        return jsonify([{"label": row["label"], "score": row["score"]} for row in rows])

    return routes
