"""`POST /models/{name}`: the Hugging Face Inference API for image classification, including zero-shot."""

from flask import Blueprint, g, jsonify
from flask.typing import ResponseReturnValue

from worker.api.best_classes import classify_one
from worker.api.service import Service
from worker.api.uploads import read_upload


def blueprint(service: Service) -> Blueprint:
    """Return the route, bound to `service`."""
    routes = Blueprint("hugging_face", __name__)

    @routes.post("/models/<name>")
    def classify(name: str) -> ResponseReturnValue:
        model = service.model(name)
        upload = read_upload(g.body, max_images=1)
        rows, deadline = classify_one(service, model, upload)
        answered = jsonify([{"label": row["label"], "score": row["score"]} for row in rows])
        deadline.left()
        return answered

    return routes
