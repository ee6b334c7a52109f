"""`POST /predict`: this project's own API. One image gets one answer, several get a list of results."""

import base64
from collections.abc import Mapping
from urllib.parse import quote

import msgspec
from flask import Blueprint
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from worker.api.body import Body
from worker.api.candidates import take_candidates
from worker.api.operations import IMAGES, in_query, inputs, post, responses
from worker.api.parameters import PREDICT, Parameters, parse_parameters
from worker.api.request_context import RequestContext, to_service_error
from worker.api.schemas import BYTES, IN_TEXT, Json, closed, list_of, ref
from worker.api.service import Loaded, Service
from worker.api.uploads import Upload, check_answer, query, read_upload
from worker.contract.errors import ErrorCode, ServiceError
from worker.contract.limits import MAX_PREDICTIONS
from worker.contract.settings import Settings
from worker.pipeline.classifier import Classification

METHOD, PATH = "POST", "/predict"
# nginx/routes.conf has the location, nginx/nginx.conf reads the name.
ACCEL_REDIRECT, BODY_MODEL, MAX_NAME = "X-Accel-Redirect", "X-Body-Model", 100
JSON, PNG = "application/json", "image/png"


def blueprint(_: Service) -> Blueprint:
    """Return the route, by which Flask refuses other methods: predict_app.py has answered its own before."""
    routes = Blueprint("predict", __name__)
    routes.add_url_rule(PATH, "predict", methods=[METHOD])
    return routes


def paths(settings: Settings) -> Json:
    """Describe the route; its parameters may come in the query or in the body, so both list them."""
    in_text = {name: IN_TEXT[name] for name in PREDICT}
    form = closed(required=["image"], image=list_of(BYTES, settings.max_images), **in_text)
    classify = post(
        f"Classify one image, or up to {settings.max_images}",
        in_query(*PREDICT),
        {"multipart/form-data": form, **IMAGES, JSON: inputs(settings.max_images, *PREDICT)},
        responses({"oneOf": [ref("Answer"), ref("Answers")]}, PNG),
    )
    return {PATH: {"post": classify}}


def to_json(body: dict[str, object]) -> bytes:
    """Return `body` as JSON with a line end, as Flask writes it, too."""
    return msgspec.json.encode(body) + b"\n"


def answer(service: Service, context: RequestContext, sent: Body) -> tuple[str, bytes]:
    """Return the media type and the body of the answer to a request; raise what its client is to be told."""
    upload, in_query = read_upload(sent, service.settings.max_images), query(sent.environ)
    model = _named_model(service, in_query, upload.parameters)
    candidates, parts = take_candidates(in_query, upload.parameters)
    model = service.with_candidates(model, candidates, context.deadline)
    parameters = parse_parameters(*parts, known=PREDICT, output=model.folder.output)
    check_answer(len(upload.images), min(parameters.top_k, model.folder.output.labels.count), MAX_PREDICTIONS)
    if parameters.heat_map:
        accepted = parse_accept_header(sent.environ.get("HTTP_ACCEPT"), MIMEAccept)
        as_image = accepted.best_match([JSON, PNG]) == PNG
        answered = _explained(service, context, model, upload, parameters, as_image)
    else:
        answered = JSON, to_json(_classified(service, context, model, upload, parameters))
    context.deadline.left()
    return answered


def _named_model(service: Service, *sources: Mapping[str, object]) -> Loaded:
    """Return the model; raise ServiceError UNKNOWN_MODEL if one of `sources` names another.

    Nginx sees only the address: if the body names another model, the error's headers make it send the request there.
    """
    for source in sources:
        if isinstance(name := source.get("model"), str) and name != service.settings.model:
            there = {ACCEL_REDIRECT: "@body_model", BODY_MODEL: quote(name[:MAX_NAME], "", errors="replace")}
            raise service.unknown_model(name, there if name else None)
    return service.model()


def _classified(
    service: Service, context: RequestContext, model: Loaded, upload: Upload, parameters: Parameters
) -> dict[str, object]:
    results = service.classify(model, [data for _, data in upload.images], context.deadline)
    if len(results) == 1:
        return _one(context, service, model, results[0], parameters)
    rows = [
        {"filename": name, **_result_or_error(context, service, model, result, parameters)}
        for (name, _), result in zip(upload.images, results, strict=True)
    ]
    total = {"total": _milliseconds(context.elapsed())}
    return {**_about(context, service, model), "results": rows, "timing_ms": total}


def _one(
    context: RequestContext, service: Service, model: Loaded, result: Classification | Exception, parameters: Parameters
) -> dict[str, object]:
    if isinstance(result, Exception):
        raise result
    return {**_about(context, service, model), **_result(context, model, result, parameters)}


def _explained(
    service: Service, context: RequestContext, model: Loaded, upload: Upload, parameters: Parameters, as_image: bool
) -> tuple[str, bytes]:
    """Return the answer with its heat map, or only the heat map if `as_image`."""
    if len(upload.images) > 1:
        raise ServiceError(
            ErrorCode.BAD_PARAMETER,
            f"found {len(upload.images)} images, needed one for heat_map: send each in its own request",
        )
    result, heat_map = service.explain(model, upload.images[0][1], parameters.class_index, context.deadline)
    if as_image:
        return PNG, heat_map.png()
    url = f"data:{PNG};base64,{base64.b64encode(heat_map.png()).decode()}"
    drawn = {"heat_map": url, "heat_map_cells": heat_map.rows()}
    return JSON, to_json({**_one(context, service, model, result, parameters), **drawn})


def _about(context: RequestContext, service: Service, model: Loaded) -> dict[str, object]:
    return {
        "model": service.settings.model,
        "version": model.folder.version,
        "worker": service.settings.worker,
        "request_id": context.request_id,
    }


def _result_or_error(
    context: RequestContext, service: Service, model: Loaded, result: Classification | Exception, parameters: Parameters
) -> dict[str, object]:
    if isinstance(result, Exception):
        return to_service_error(service, context, result).body()
    return _result(context, model, result, parameters)


def _result(
    context: RequestContext, model: Loaded, result: Classification, parameters: Parameters
) -> dict[str, object]:
    output = model.folder.output
    scores = output.scores(result.logits)
    attributes = {"attributes": output.attributes(scores, parameters.labels)} if output.groups else {}
    return {
        "confident": output.confident(scores),
        "predictions": output.predictions(scores, parameters.top_k, parameters.threshold, parameters.labels),
        **attributes,
        "timing_ms": {
            "queue": _milliseconds(result.queue_s),
            "decode": _milliseconds(result.decode_s),
            "inference": _milliseconds(result.inference_s),
            "total": _milliseconds(context.elapsed()),
        },
    }


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
