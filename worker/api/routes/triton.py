"""Triton's extensions of `/v2`: what tritonclient and perf_analyzer ask besides the Open Inference Protocol.

The statistics are this worker's own since it started: Nginx leads each request to one worker of the pool.
"""

from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from prometheus_client import Histogram

from worker.api.routes.tensors import INPUT, OUTPUT
from worker.api.service import Loaded, Service
from worker.process.statistics import NANOSECONDS

INDEX = "/v2/repository/index"
EXTENSIONS = ["classification", "binary_tensor_data", "model_configuration", "statistics"]
MODEL = ("/v2/models/<name>", "/v2/models/<name>/versions/<version>")


def blueprint(service: Service) -> Blueprint:
    """Return the routes, bound to `service`; every route of a model exists with and without a version."""
    routes = Blueprint("triton", __name__)

    @routes.get(f"{MODEL[0]}/config")
    @routes.get(f"{MODEL[1]}/config")
    def config(name: str, version: str | None = None) -> ResponseReturnValue:
        return jsonify(_config(service, service.model(name, version)))

    @routes.get(f"{MODEL[0]}/stats")
    @routes.get(f"{MODEL[1]}/stats")
    @routes.get("/v2/models/stats")
    def stats(name: str | None = None, version: str | None = None) -> ResponseReturnValue:
        model = service.model(name, version)
        service.deferred.run_all()
        return jsonify(model_stats=[_stats(service, model)])

    @routes.post(INDEX)
    def index() -> ResponseReturnValue:
        # The gateway answers for all models; this is what it would say of one.
        found = service.loaded.folder.version if service.loaded else ""
        state, reason = ("READY", "") if service.ready else ("UNAVAILABLE", service.health.reason or "")
        return jsonify([{"name": service.settings.model, "version": found, "state": state, "reason": reason}])

    return routes


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
