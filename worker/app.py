"""Compose the worker's stages in flow order; nothing else happens here."""

import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain, repeat
from pathlib import Path

from flask import Flask

from worker.api import flask_app, openapi, predict_app
from worker.api.routes import APIS
from worker.api.service import Loaded, Service
from worker.contract.limits import decoding_limit_s, decoding_processes
from worker.contract.settings import EXIT, Settings, process_settings
from worker.contract.toml_reader import ModelError
from worker.decode import Bounds, Budget, Pool
from worker.decode.budget import MEGABYTE
from worker.engines import load_engine
from worker.engines.warm_up import warm_up
from worker.models.folder import ModelFolder, read_folder, verify_files
from worker.models.golden import check_golden
from worker.pipeline.admission import Admission, Deadline
from worker.pipeline.batcher import Batcher
from worker.pipeline.classifier import Classifier, OpenImage, identity
from worker.pipeline.engine_guard import EngineGuard
from worker.pipeline.explainer import Explainer
from worker.pipeline.golden_check import Inconclusive, classify_in_background, watch_golden
from worker.pipeline.running import Hangs
from worker.pipeline.text_embeddings import open_text_heads
from worker.process import health
from worker.process.health import Health
from worker.process.memory import release_memory
from worker.process.metrics import create_metrics
from worker.process.own_time import TICK_S, OwnTime

DECODERS_PER_CPU = 2
# Exit statuses of the process that answers. After 3 gunicorn exits, too; after any other it starts a new process.
UNFIT = 3  # the model cannot be loaded
STUCK = 70  # the engine or a decoder hangs
BROKEN = 71  # the engine cannot answer any more
# How long a broken worker stays to say so: long enough that the gate sees it and that a worker which breaks again and
# again does not load its model all the time.
BROKEN_S = 5.0
READ_PAUSES_S = (1, 2, 4, 8, 16, 32, 60)  # of a worker without a model folder; the last is repeated

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> Flask:
    """Return the WSGI application, which answers at once; a thread loads the model until `/readyz` reports ready."""
    settings = settings or process_settings()
    state, admission = Health(), Admission(settings.queue)
    metrics = create_metrics(lambda: admission.in_flight, lambda: service.ready, lambda: service.queued)
    service = Service(settings, state, admission, metrics)
    loader = threading.Thread(target=_load, args=(service,), name="loader", daemon=True)
    app = flask_app.create(service)
    for api in (*APIS, openapi):
        app.register_blueprint(api.blueprint(service))
    predict_app.install(app, service)
    loader.start()
    return app


def _load(service: Service) -> None:
    """Verify, load and warm up the model and check its golden images; then set ready, or broken with the reason.

    A broken worker stays for a while, and then another process tries again: memory may be free by then.
    """
    started = time.monotonic()
    _name_thread("engine")
    try:
        folder = _await_folder(service)
        service.loaded = _compose(service, folder)
        release_memory(folder.path, service.settings.cache or folder.path)
        service.health.become(health.READY)
        log.info("ready after %.2f s", time.monotonic() - started)
    except ModelError as error:
        service.health.become(health.BROKEN, str(error))
        log.error("broken: %s", error)
    except Exception as error:
        service.health.become(health.BROKEN, f"{type(error).__name__}: {error}")
        log.exception("broken")
    if service.health.state == health.BROKEN:
        if service.settings.on_load_error == EXIT:
            os._exit(UNFIT)
        time.sleep(READ_PAUSES_S[-1])
        os._exit(BROKEN)


def _await_folder(service: Service) -> ModelFolder:
    """Return the verified model folder once there is one: its volume may come late.

    Raise ModelError or OSError at once if this worker is to exit then.
    """
    pauses, reason = chain(READ_PAUSES_S, repeat(READ_PAUSES_S[-1])), ""
    while True:
        try:
            folder = read_folder(service.settings.model_dir)
            verify_files(folder)
        except (ModelError, OSError) as error:
            if service.settings.on_load_error == EXIT:
                raise
            if str(error) != reason:
                log.error("broken: %s", error)
            reason = str(error)
            service.health.become(health.BROKEN, reason)
            time.sleep(next(pauses))
        else:
            service.health.become(health.STARTING)
            return folder


def _name_thread(name: str) -> None:
    """Give this thread a name that `top -H` shows, and that the threads it starts, the engine's own, inherit."""
    with suppress(OSError):
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(name, encoding="ascii")


def _compose(service: Service, folder: ModelFolder) -> Loaded:
    """Compose decode -> batch -> engine, warmed up at every batch size and checked against the golden images."""
    settings, metrics = service.settings, service.metrics
    # One folder per worker: none reads what another is still writing, or has changed.
    cache = settings.cache and f"{settings.cache}/{settings.worker}"
    engine = load_engine(folder, settings.engine, len(settings.cpus), settings.gpu, cache)
    log.info("engine %s in %s: %s", engine.name, engine.precision, engine.choice.reason)
    decode_s = decoding_limit_s(settings.inference_limit_s)
    hangs = Hangs(settings.inference_limit_s, decode_s)
    health.watch(partial(_find_fault, service, hangs, OwnTime()), TICK_S, partial(_leave, service))
    infer = hangs.inferences.watched(engine.infer)
    seconds = warm_up(infer, engine.batch_sizes, folder.input.shape, timed=bool(settings.gpu))
    pool = Pool(decoding_processes(len(settings.cpus)), decode_s)
    bounds = Bounds(settings.max_pixels, Budget(settings.decode_mb * MEGABYTE), processes=pool)
    texts = open_text_heads(folder, cache, len(settings.cpus))
    head = texts.own_head if texts else identity
    answer = partial(folder.input.whole.logits, bounds=bounds, infer=lambda batch: head(infer(batch)))
    observe_golden = metrics.observe_golden
    first = partial(check_golden, folder, answer, engine.precision, observe=observe_golden)
    check = metrics.counted(first, Inconclusive)
    check()
    wait_s = folder.engine.wait_ms / 1000 if settings.gpu else 0.0
    observe_batch = partial(service.deferred, metrics.batch_size.observe)
    outputs = None if texts else folder.output.labels.count
    timed = metrics.timed(infer, service.deferred)
    batcher = Batcher(timed, seconds, observe_batch, wait_s, EngineGuard(check), outputs)
    decoders = DECODERS_PER_CPU * len(settings.cpus)
    observe = partial(service.deferred, metrics.observe_stages)
    classifier = Classifier(
        partial(_open_image, folder, bounds),
        batcher.submit,
        observe,
        decoders,
        head,
        folder.input.merged,
        hangs.decodings,
    )
    explainer = Explainer(batcher.submit, head, folder.output)
    choice = engine.choice.reason
    loaded = Loaded(folder, engine.name, engine.precision, choice, classifier, batcher, explainer, texts)
    if settings.golden_check_s:
        # Read once, since a file that is gone says nothing about the answers.
        files = {golden.image: golden.image.read_bytes() for golden in folder.golden}
        logits = partial(folder.input.whole.logits, bounds=bounds)
        again = partial(classify_in_background, logits, batcher, head, settings.deadline_s)
        later = partial(check_golden, folder, again, engine.precision, files.__getitem__, observe_golden)
        recheck = metrics.counted(later, Inconclusive)
        leave = partial(_leave_wrong, service.health)
        watch_golden(recheck, settings.golden_check_s, lambda: service.admission.in_flight > 0, leave)
    metrics.model.labels(folder.version, engine.name, engine.precision, folder.digest).set(1)
    return loaded


def _open_image(folder: ModelFolder, bounds: Bounds, data: bytes, deadline: Deadline) -> OpenImage:
    image = folder.input.open(data, replace(bounds, left=deadline.checked))
    return OpenImage(image.large, partial(folder.input.inputs, image), image.isolated)


def _leave_wrong(state: Health, fault: str) -> None:
    """Report that the golden images have other answers by now, and end this process as `_leave` does."""
    if state.state != health.READY:
        return
    state.become(health.BROKEN, fault)
    log.critical("broken: %s: ending this worker", fault)
    time.sleep(BROKEN_S)
    os._exit(BROKEN)


def _find_fault(service: Service, hangs: Hangs, own_time: OwnTime) -> str | None:
    """Return why the loaded model cannot answer, None if it can; before, only learn how long its inferences take."""
    hang = hangs.find(own_time.tick())
    return service.fault() or (hang if service.loaded else None)


def _leave(service: Service, fault: str) -> None:
    """Report the `fault` of the engine or the decoder and end this process, so that gunicorn starts a new one."""
    service.health.become(health.BROKEN, fault)
    log.critical("broken: %s: ending this worker", fault)
    if service.fault() is None:  # it hangs, and so do the requests that wait for it
        os._exit(STUCK)
    time.sleep(BROKEN_S)
    os._exit(BROKEN)
