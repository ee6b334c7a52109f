"""`GET /models` and below: the model that this worker serves, and example images to try it on."""

from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue

from worker.api.operations import ERROR, IMAGES, NAME, about, get, of_kinds, refusal
from worker.api.schemas import COUNT, Json, list_of, object_of, ref
from worker.api.service import Loaded, Service
from worker.contract.errors import ErrorCode, ServiceError, quoted
from worker.contract.languages import BOTH
from worker.contract.settings import Settings
from worker.decode import MIME_TYPES, sniff
from worker.models.input import Input
from worker.models.output import Golden

NUMBERED: Json = {"name": "number", "in": "path", "required": True, "schema": COUNT}


def blueprint(service: Service) -> Blueprint:
    """Return the routes, bound to `service`."""
    routes = Blueprint("models", __name__)

    @routes.get("/models")
    def models() -> ResponseReturnValue:
        return jsonify(models=[model_info(service, service.model())])

    @routes.get("/models/<name>")
    def model(name: str) -> ResponseReturnValue:
        return jsonify(model_info(service, service.model(name)))

    @routes.get("/models/<name>/examples/<int:number>")
    def example(name: str, number: int) -> ResponseReturnValue:
        found = _examples(service.model(name))
        if number >= len(found):
            raise ServiceError(
                ErrorCode.UNKNOWN_EXAMPLE,
                f'found example {quoted(number)}, needed one of the {len(found)} that model "{name}" has: '
                f"GET /models/{name} lists them",
            )
        data = found[number].image.read_bytes()
        return Response(data, content_type=MIME_TYPES[sniff(data) or ""])

    return routes


def paths(_: Settings) -> Json:
    """Describe the routes."""
    served = object_of(models=list_of(ref("Model")))
    return {
        "/models": {"get": get("What is served", served, **{"503": refusal(ERROR, ErrorCode.NOT_READY)})},
        "/models/{name}": {"get": about("What a model knows and takes", ref("Model"), NAME, error=ERROR)},
        "/models/{name}/examples/{number}": {"get": _example()},
    }


def _example() -> Json:
    found = about("An image to try the model on", {}, NAME, NUMBERED, error=ERROR)
    found["responses"]["404"] = refusal(ERROR, ErrorCode.UNKNOWN_MODEL, ErrorCode.UNKNOWN_EXAMPLE)
    found["responses"]["200"]["content"] = of_kinds(IMAGES)
    return found


def model_info(service: Service, model: Loaded) -> dict[str, object]:
    """Return what clients need to know about `model` before they send an image."""
    name, folder, output = service.settings.model, model.folder, model.folder.output
    height, width, channels = folder.input.shape
    return {
        "name": name,
        "version": folder.version,
        "description": dict(folder.description),
        "licence": folder.licence or None,
        "languages": list(output.labels.names),
        "classes": output.labels.count,
        "zero_shot": folder.zero_shot is not None,
        "unsure_below": output.unsure_below,
        "input": {"height": height, "width": width, "channels": channels} | _part(folder.input),
        "engine": model.engine,
        "precision": model.precision,
        "examples": [
            {"path": f"/models/{name}/examples/{number}"} | output.labels.row(golden.index, golden.score, BOTH)
            for number, golden in enumerate(_examples(model))
        ],
    }


def _part(given: Input) -> dict[str, object]:
    """Return which part of an image the network sees: `resize` as in model.toml, and whether it sees tiles."""
    resize = given.geometry.resize
    return {"resize": list(resize) if isinstance(resize, tuple) else resize, "tiled": given.tiles is not None}


def _examples(model: Loaded) -> list[Golden]:
    return [golden for golden in model.folder.golden if golden.example]
