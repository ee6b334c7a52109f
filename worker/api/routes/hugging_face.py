"""`POST /models/{name}`: the Hugging Face Inference API for image classification, including zero-shot."""

from typing import Any

import msgspec
from flask import Blueprint, g, jsonify
from flask.typing import ResponseReturnValue

from worker.api.best_classes import classify_one
from worker.api.operations import IMAGES, NAME, in_query, inputs, post, responses
from worker.api.parameters import HUGGING_FACE
from worker.api.schemas import NUMBER, TEXT, Json, list_of, object_of
from worker.api.service import Service
from worker.api.uploads import FIELDS, JsonUpload, read_upload
from worker.contract.settings import Settings


class InferenceUpload(JsonUpload, frozen=True):
    """An image in JSON, with the Inference API's options of its cache and of waiting for a model: there is neither."""

    options: dict[str, Any] | None = None


INFERENCE_UPLOAD = msgspec.json.Decoder(InferenceUpload)


def blueprint(service: Service) -> Blueprint:
    """Return the route, bound to `service`."""
    routes = Blueprint("hugging_face", __name__)

    @routes.post("/models/<name>")
    def classify(name: str) -> ResponseReturnValue:
        model = service.model(name)
        upload = read_upload(g.body, 1, FIELDS, INFERENCE_UPLOAD)
        rows, deadline = classify_one(service, model, upload)
        answered = jsonify([{"label": row["label"], "score": row["score"]} for row in rows])
        deadline.left()
        return answered

    return routes


def paths(_: Settings) -> Json:
    """Describe the route."""
    sent = IMAGES | {"application/json": inputs(1, *HUGGING_FACE, options={"type": ["object", "null"]})}
    classify = post(
        "The Hugging Face Inference API for image classification, zero-shot likewise",
        [NAME, *in_query(*HUGGING_FACE)],
        sent,
        responses(list_of(object_of(label=TEXT, score=NUMBER))),
    )
    return {"/models/{name}": {"post": classify}}
