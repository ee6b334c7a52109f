"""Routes for machines: health and metrics."""

from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue

from worker.api.operations import probe
from worker.api.routes.models import model_info
from worker.api.schemas import Json, object_of, ref
from worker.api.service import Service
from worker.contract.cpu_list import format_cpu_list
from worker.contract.settings import Settings
from worker.decode import MIME_TYPES, sniff
from worker.process.health import BROKEN, READY

EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def blueprint(service: Service) -> Blueprint:
    """Return the routes, bound to `service`."""
    routes = Blueprint("health", __name__)

    @routes.get("/livez")
    def livez() -> ResponseReturnValue:
        alive = service.fault() is None
        return jsonify(status="alive" if alive else "stuck"), 200 if alive else 503

    @routes.get("/readyz")
    def readyz() -> ResponseReturnValue:
        report = _report(service)
        return jsonify(report), 200 if report["state"] == READY else 503

    @routes.get("/metrics")
    def metrics() -> ResponseReturnValue:
        service.deferred.run_all()
        return Response(service.metrics.text(), content_type=EXPOSITION_TYPE)

    @routes.get("/golden")
    def golden() -> ResponseReturnValue:
        # For the gate alone, which tries a worker on it; Nginx forwards no such path.
        data = service.model().folder.golden[0].image.read_bytes()
        return Response(data, content_type=MIME_TYPES[sniff(data) or ""])

    return routes


def paths(_: Settings) -> Json:
    """Describe the routes of the contract, which what the gate alone asks for is not part of."""
    return {
        "/livez": {"get": probe("Is the process alive?", object_of(status={"enum": ["alive", "stuck"]}))},
        "/readyz": {"get": probe("Is it ready?", ref("Report"))},
    }


def _report(service: Service) -> dict[str, object]:
    settings, loaded, fault = service.settings, service.loaded, service.fault()
    state, reason = (BROKEN, fault) if fault else (service.health.state, service.health.reason)
    return {
        "state": state,
        "reason": reason,
        "worker": settings.worker,
        "slot": settings.slot,
        "cpus": format_cpu_list(settings.cpus),
        "gpu": settings.gpu or None,
        "model": settings.model,
        "version": loaded.folder.version if loaded else None,
        "engine": loaded.engine if loaded else None,
        "precision": loaded.precision if loaded else None,
        "choice": loaded.choice if loaded else None,
        "in_flight": service.admission.in_flight,
        "queued": service.queued,
        "answered": {"images": service.metrics.images(), "durations_ms": service.statistics.durations_ms()},
        "model_info": model_info(service, loaded) if loaded else None,
    }
