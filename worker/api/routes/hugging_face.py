"""`POST /models/{name}`: the Hugging Face Inference API for image classification, including zero-shot."""

from flask import Blueprint, g, jsonify, request
from flask.typing import ResponseReturnValue

from worker.api.candidates import take_candidates
from worker.api.parameters import HUGGING_FACE, parse_parameters
from worker.api.service import Service
from worker.api.uploads import query, read_upload
from worker.contract.errors import ServiceError
from worker.pipeline.admission import Deadline


def blueprint(service: Service) -> Blueprint:
    """Return the route, bound to `service`."""
    routes = Blueprint("hugging_face", __name__)

    @routes.post("/models/<name>")
    def classify(name: str) -> ResponseReturnValue:
        model = service.model(name)
        upload = read_upload(request, max_images=1)
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
        answered = jsonify([{"label": row["label"], "score": row["score"]} for row in rows])
        deadline.left()
        return answered

    return routes
