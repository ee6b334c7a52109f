"""TorchServe's inference API: `/predictions/{name}`, answered as its image_classifier handler does, and `/ping`."""

import re

import msgspec
from flask import Blueprint, g, jsonify
from flask.typing import ResponseReturnValue

from worker.api.best_classes import classify_one
from worker.api.operations import IMAGES, NAME, VERSIONED, content, get, in_query, post, responses
from worker.api.parameters import HUGGING_FACE
from worker.api.schemas import BYTES, IN_TEXT, NUMBER, Json, closed, object_of, ref
from worker.api.service import Service
from worker.api.uploads import FIELDS, JsonUpload, read_upload
from worker.contract.settings import Settings

PATH = "/predictions/"
METHODS = ["POST", "PUT"]
PING: Json = object_of(status={"enum": ["Healthy", "Unhealthy"]})
FORM_FIELDS = re.compile(rf"data|body|{FIELDS.pattern}")


class DataUpload(JsonUpload, frozen=True):
    """An image in JSON under the name that TorchServe's handlers look for."""

    inputs: str | list[str] | None = msgspec.field(default=None, name="data")


DATA_UPLOAD = msgspec.json.Decoder(DataUpload)


def blueprint(service: Service) -> Blueprint:
    """Return the routes, bound to `service`."""
    routes = Blueprint("torchserve", __name__)

    @routes.route(f"{PATH}<name>", methods=METHODS)
    @routes.route(f"{PATH}<name>/<version>", methods=METHODS)
    def classify(name: str, version: str | None = None) -> ResponseReturnValue:
        model = service.model(name, version)
        upload = read_upload(g.body, 1, FORM_FIELDS, DATA_UPLOAD)
        rows, deadline = classify_one(service, model, upload)
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


def paths(_: Settings) -> Json:
    """Describe the routes."""
    return {
        f"{PATH}{{name}}": _classify(NAME),
        f"{PATH}{{name}}/{{version}}": _classify(NAME, VERSIONED),
        "/ping": {"get": get("Is it ready?", PING, **{"500": content("No", PING)})},
    }


def _classify(*named: Json) -> Json:
    own = {name: IN_TEXT[name] for name in HUGGING_FACE}
    operation = post(
        "TorchServe: the best classes of one image by their labels, as its image_classifier answers",
        [*named, *in_query(*HUGGING_FACE)],
        IMAGES | {"multipart/form-data": closed(required=["data"], data=BYTES, **own)},
        responses({"type": "object", "additionalProperties": NUMBER}, error=ref("TorchServeError")),
    )
    return {method.lower(): operation for method in METHODS}
