"""The worker: the stages composed in flow order, and nothing else."""

import logging
import os
import threading
import time
from functools import partial

import numpy as np
from flask import Flask

from worker import health, http
from worker.admission import Admission
from worker.batcher import Batcher
from worker.classifier import Classifier
from worker.decode import decode
from worker.engines import load_engine
from worker.health import Health
from worker.metrics import create_metrics
from worker.models.fields import ModelError
from worker.models.folder import ModelFolder, read_folder, verify_files
from worker.models.golden import check_golden
from worker.routes import health as health_routes
from worker.routes import hugging_face, inference_protocol, predict
from worker.service import Loaded, Service
from worker.settings import Settings

DECODERS_PER_CPU = 2
STUCK = 70  # exit status of a worker whose engine hangs; whoever runs it starts a new one

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> Flask:
    """The WSGI application. It answers at once; the model loads behind it until `/readyz` says ready."""
    settings = settings or Settings.from_env(os.environ)
    state, admission = Health(), Admission(settings.queue)
    metrics = create_metrics(lambda: admission.in_flight, lambda: state.ready)
    service = Service(settings, state, admission, metrics)
    loader = threading.Thread(target=_load, args=(service,), name="loader", daemon=True)
    app = http.create(service)
    app.register_blueprint(predict.blueprint(service))
    app.register_blueprint(hugging_face.blueprint(service))
    app.register_blueprint(inference_protocol.blueprint(service))
    app.register_blueprint(health_routes.blueprint(service))
    loader.start()
    return app


def _load(service: Service) -> None:
    """Verify, load, warm up, check the golden images; then ready, or broken with the reason."""
    started = time.monotonic()
    try:
        folder = read_folder(service.settings.model_dir)
        verify_files(folder)
        service.loaded = _compose(service, folder)
        service.health.become(health.READY)
        log.info("ready after %.2f s", time.monotonic() - started)
    except ModelError as error:
        service.health.become(health.BROKEN, str(error))
        log.error("broken: %s", error)
    except Exception as error:
        service.health.become(health.BROKEN, f"{type(error).__name__}: {error}")
        log.exception("broken")


def _compose(service: Service, folder: ModelFolder) -> Loaded:
    """decode -> batch -> engine, warmed up at every batch size and checked against the golden images."""
    settings, metrics = service.settings, service.metrics
    engine = load_engine(folder, settings.engine, len(settings.cpus), bool(settings.gpu))
    height, width = folder.input.geometry.size
    for size in folder.engine.batch_sizes:
        engine.infer(np.zeros((size, height, width, 3), np.uint8))
    to_pixels = partial(decode, geometry=folder.input.geometry, max_pixels=settings.max_pixels)
    check_golden(folder, lambda image: engine.infer(np.stack([to_pixels(image)]))[0])
    batcher = Batcher(engine.infer, folder.engine.batch_sizes, metrics.batch_size.observe)
    health.watch(batcher.busy_s, settings.inference_limit_s, _give_up)
    classifier = Classifier(to_pixels, batcher.submit, metrics, DECODERS_PER_CPU * len(settings.cpus))
    return Loaded(folder, engine.name, engine.precision, classifier, batcher)


def _give_up(seconds: float) -> None:
    log.critical("one inference has run for %.0f s, above its limit: ending this worker", seconds)
    os._exit(STUCK)
