"""Triton's extensions of `/v2`: what tritonclient and perf_analyzer ask besides the Open Inference Protocol.

The statistics are this worker's own since it started: Nginx leads each request to one worker of the pool.
"""

from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from prometheus_client import Histogram

from worker.api.operations import about, get
from worker.api.routes.tensors import INPUT, OUTPUT
from worker.api.schemas import COUNT, TEXT, Json, list_of, object_of
from worker.api.service import Loaded, Service
from worker.process.statistics import NANOSECONDS

EXTENSIONS = ["classification", "binary_tensor_data", "model_configuration", "statistics"]
MODEL = ("/models/<name>", "/models/<name>/versions/<version>")
STAGES = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss")


def blueprint(service: Service) -> Blueprint:
    """Return the routes below /v2, bound to `service`; every route of a model exists with and without a version."""
    routes = Blueprint("triton", __name__)

    @routes.get(f"{MODEL[0]}/config")
    @routes.get(f"{MODEL[1]}/config")
    def config(name: str, version: str | None = None) -> ResponseReturnValue:
        return jsonify(_config(service, service.model(name, version)))

    @routes.get(f"{MODEL[0]}/stats")
    @routes.get(f"{MODEL[1]}/stats")
    @routes.get("/models/stats")
    def stats(name: str | None = None, version: str | None = None) -> ResponseReturnValue:
        model = service.model(name, version)
        service.deferred.run_all()
        return jsonify(model_stats=[_stats(service, model)])

    @routes.post("/repository/index")
    def index() -> ResponseReturnValue:
        # The gateway answers for all models; this is what it would say of one.
        found = service.loaded.folder.version if service.loaded else ""
        state, reason = ("READY", "") if service.ready else ("UNAVAILABLE", service.health.reason or "")
        return jsonify([{"name": service.settings.model, "version": found, "state": state, "reason": reason}])

    return routes


def paths() -> Json:
    """Describe the routes of no model."""
    row = object_of(name=TEXT, version=TEXT, state={"enum": ["READY", "UNAVAILABLE"]}, reason=TEXT)
    return {
        "/v2/models/stats": {"get": get("What the worker has answered", _statistics())},
        "/v2/repository/index": {"post": get("The models and their states", list_of(row))},
    }


def paths_of_a_model(path: str, *named: Json) -> Json:
    """Describe the routes of the model at `path`, whose parameters are `named`."""
    some = list_of({"type": "object"})
    config = object_of(name=TEXT, platform=TEXT, backend=TEXT, max_batch_size=COUNT, input=some, output=some)
    return {
        f"{path}/config": {"get": about("A model's configuration, as Triton writes it", config, *named)},
        f"{path}/stats": {"get": about("What the worker has answered", _statistics(), *named)},
    }


def _statistics() -> Json:
    stats = object_of(**dict.fromkeys(STAGES, object_of(count=COUNT, ns=COUNT)))
    one = object_of(
        name=TEXT, version=TEXT, last_inference=COUNT, inference_count=COUNT, execution_count=COUNT,
        inference_stats=stats, batch_stats=list_of({"type": "object"}),
    )  # fmt: skip
    return object_of(model_stats=list_of(one))


def _config(service: Service, model: Loaded) -> dict[str, Any]:
    """Return Triton's ModelConfig: an input of [N, 1] or [N] encoded images, batched across requests."""
    classes = model.folder.output.labels.count
    image = {"name": INPUT, "data_type": "TYPE_STRING", "dims": [1], "reshape": {"shape": []}}
    return {
        "name": service.settings.model,
        "platform": model.engine,
        "backend": model.engine,
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": service.settings.max_images,
        "input": [image],
        "output": [{"name": OUTPUT, "data_type": "TYPE_FP32", "dims": [classes]}],
        "dynamic_batching": {},
    }


def _stats(service: Service, model: Loaded) -> dict[str, Any]:
    requests, metrics = service.statistics, service.metrics
    images, batches = _total(metrics.inference), _total(metrics.batch_size)
    return {
        "name": service.settings.model,
        "version": model.folder.version,
        "last_inference": requests.last_ms,
        "inference_count": images["count"],
        "execution_count": batches["count"],
        "inference_stats": {
            "success": {"count": requests.successes, "ns": requests.success_ns},
            "fail": {"count": requests.failures, "ns": requests.failure_ns},
            "queue": _total(metrics.queue),
            "compute_input": _total(metrics.decode),
            "compute_infer": images,
            "compute_output": {"count": 0, "ns": 0},
            "cache_hit": {"count": 0, "ns": 0},
            "cache_miss": {"count": 0, "ns": 0},
        },
        "batch_stats": [],
    }


def _total(histogram: Histogram) -> dict[str, int]:
    """Return how often `histogram` was observed, and the sum in nanoseconds."""
    samples = {sample.name.rpartition("_")[2]: sample.value for sample in next(iter(histogram.collect())).samples}
    return {"count": round(samples["count"]), "ns": round(samples["sum"] * NANOSECONDS)}
