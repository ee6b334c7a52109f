"""gunicorn's settings for a worker: one process, pinned before any runtime is imported, drained before it exits."""

import logging
import os
import sys
import threading
import time
from types import FrameType

from worker.contract.settings import SettingsError, process_settings
from worker.contract.swarm_slot import SlotError, assigned
from worker.contract.volume import VolumeError, check_volume
from worker.process import health
from worker.process.logs import CONFIG, FIELDS, timestamp
from worker.process.memory import limit_memory, tune_malloc
from worker.process.slot import pin
from worker.process.unanswered import notes

SPARE_THREADS = 8  # answer probes and refusals while every admitted image holds a thread
EX_CONFIG = 78  # sysexits.h: configuration error; a restart does not help

try:
    os.environ |= assigned(os.environ)
    settings = process_settings()
    pin(settings)
    check_volume(settings)
except (SettingsError, SlotError, VolumeError) as error:
    sys.stderr.write(f"worker: {error}\n")
    raise SystemExit(EX_CONFIG) from None

tune_malloc(len(settings.cpus))
limit_memory(settings.memory_mb, settings.queue + SPARE_THREADS)

bind = settings.bind
workers = 1
worker_class = "worker.api.http_server.PredictWorker"
threads = settings.queue + SPARE_THREADS
worker_connections = 2 * threads
# Longer than nginx.conf's upstream keepalive_timeout, so that Nginx closes first: no request meets a closing socket.
keepalive = 75
# A worker that is frozen is killed some seconds after this, within nginx.conf's proxy_next_upstream_timeout: what it
# had taken is then answered by another one.
timeout = 15
graceful_timeout = settings.drain_s + settings.deadline_s + 2
worker_tmp_dir = "/dev/shm"  # noqa: S108 - the heartbeat file: a stalled disk must not look like a dead worker
control_socket_disable = True
# No header of a proxy changes anything here, so none needs to be trusted, and no address to be looked up.
forwarded_allow_ips = "*"
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
logconfig_dict = CONFIG
notes()  # before the worker process is forked, which shares them


def post_worker_init(worker) -> None:  # type: ignore[no-untyped-def]
    """Drain on SIGTERM before gunicorn's own shutdown, and tell the worker how many came before it."""
    import signal

    service = worker.wsgi.extensions["service"]
    service.metrics.restarts.inc(worker.age - 1)  # the first one is number 1

    def drain() -> None:
        # The gate needs time to see `draining` and take this worker out of rotation; until then it keeps answering.
        time.sleep(settings.drain_s)
        while service.admission.in_flight:
            time.sleep(0.05)
        worker.handle_exit(signal.SIGTERM, None)

    def on_term(signum: int, frame: FrameType | None) -> None:
        if service.health.state != health.DRAINING:
            service.health.become(health.DRAINING)
            threading.Thread(target=drain, name="drain", daemon=True).start()

    signal.signal(signal.SIGTERM, on_term)


def child_exit(server, worker) -> None:  # type: ignore[no-untyped-def]
    """Name the requests that the worker process left without an answer; gunicorn has logged how it ended."""
    for request in notes().take():
        found = {
            "request_id": request.fields.pop("request_id", ""),
            "worker": settings.worker,
            **request.fields,
            "process": worker.pid,
            "began": timestamp(request.started),
        }
        logging.getLogger("worker.access").error("no answer: the process ended", extra={FIELDS: found})
