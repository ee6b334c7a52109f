"""A real worker: gunicorn with its own settings file, in a process of its own, on a free port of 127.0.0.1."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from urllib3 import encode_multipart_formdata

from tests import folders, images
from tests.local.gateway_harness import ROOT, Reply, ask
from tests.service import free_ports
from tests.wait import TIMEOUT_S, until
from worker.contract.limits import LIMITS
from worker.contract.settings import offline_variables

CONFIG = "worker/gunicorn.conf.py"
COMMAND = [sys.executable, "-m", "gunicorn", "-c", CONFIG, "worker.app:create_app()"]
CPU = min(os.sched_getaffinity(0))
START_S = 300  # until a worker that imports torch is ready, on a very busy machine
JSON = {"Content-Type": "application/json"}
PNG = {"Content-Type": "image/png"}
RED, GREY, WHITE = (images.encoded(folders.image(colour), "PNG") for colour in (folders.RED, folders.GREY, (255,) * 3))
# The slow model needs a third of a second for it on a core of its own, and less than the deadline on a busy one.
FAINT = images.encoded(folders.image((120, 120, 120)), "PNG")


def environment(model_dir: Path, port: int, **settings: object) -> dict[str, str]:
    """The complete environment of a worker; `settings` replace or add WANWU_ variables, None takes one away.

    Whatever ends by a time limit has the longest one: a busy machine is no fault of the worker.
    """
    own: dict[str, object] = {
        "MODEL_DIR": model_dir, "MODEL": "bright", "WORKER": "bright-0", "SLOT": "this-cpu0", "CPUS": CPU,
        "BIND": f"127.0.0.1:{port}", "DRAIN_S": 0,
        **{name.upper(): LIMITS[name].maximum for name in ("deadline_s", "inference_limit_s")},
    }  # fmt: skip
    wanwu = {f"WANWU_{name}": str(value) for name, value in (own | settings).items() if value is not None}
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | offline_variables() | wanwu


class WorkerProcess:
    """A started worker of the code at `root`; `pid` is gunicorn's own process, `inner_pid` the one that answers."""

    def __init__(
        self, model_dir: Path, log: Path, root: str | Path = ROOT, config: str = CONFIG, **settings: object
    ) -> None:
        self.port, self.log = free_ports(1), log
        command = [config if part == CONFIG else part for part in COMMAND]
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                command, cwd=root, env=environment(model_dir, self.port, **settings), stdout=out, stderr=out,
                start_new_session=True,
            )  # fmt: skip
        self.pid = self.process.pid

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Reply:
        return ask(self.port, method, path, body, headers)

    def predict(self, image: bytes, query: str = "", headers: Mapping[str, str] | None = None) -> Reply:
        return self.ask("POST", f"/predict{query}", image, PNG | dict(headers or {}))

    def state(self) -> dict[str, Any] | None:
        """What /readyz says; None while nothing listens, an error when the process has ended."""
        assert self.process.poll() is None, f"the worker ended with status {self.process.returncode}"
        try:
            state: dict[str, Any] = self.ask("GET", "/readyz").json
        except ConnectionError:
            return None
        return state

    def wait_until(self, wanted: str) -> dict[str, Any]:
        """Poll /readyz until its state is `wanted`, and fail at once when it is one that cannot become that."""

        def reached() -> dict[str, Any]:
            found = self.state() or {}
            assert found.get("state") in (wanted, "starting", "ready", None), found
            return found if found.get("state") == wanted else {}

        return until(f"the worker is {wanted}", reached, START_S)

    @property
    def inner_pid(self) -> int:
        (child,) = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(child)

    def metric(self, sample: str) -> float:
        """The value of one line of /metrics, named as it is written there; 0 where there is none yet."""
        lines = self.ask("GET", "/metrics").body.decode().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{sample} ")), 0.0)

    def end(self) -> int:
        """SIGTERM, and the exit status it leads to."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(TIMEOUT_S)

    def kill(self) -> None:
        """End all its processes at once, whatever they are computing."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def running(
    model_dir: Path,
    log: Path,
    *,
    until: str | None = "ready",
    root: str | Path = ROOT,
    config: str = CONFIG,
    **settings: object,
) -> Iterator[WorkerProcess]:
    """A worker in the state `until`, killed afterwards; its log is printed, for pytest shows it when a test fails."""
    worker = WorkerProcess(model_dir, log, root, config, **settings)
    try:
        if until:
            worker.wait_until(until)
        yield worker
    finally:
        worker.kill()
        print(log.read_text(errors="replace"))


def form(*images: tuple[str, bytes], field: str = "image", **fields: str) -> tuple[bytes, dict[str, str]]:
    """The body and headers of a multipart form with `images` as (filename, bytes)."""
    parts: list[tuple[str, Any]] = [(field, image) for image in images]
    body, content_type = encode_multipart_formdata([*parts, *fields.items()])
    return body, {"Content-Type": content_type}


def later(worker: WorkerProcess, *images: bytes) -> "Future[Reply]":
    """Send one request on a thread of its own; returns once its images are inside the worker, next to those before."""
    before = in_flight(worker)
    pool = ThreadPoolExecutor(1)
    body, headers = form(*[("", image) for image in images])
    answer = pool.submit(worker.ask, "POST", "/predict", body, headers)
    pool.shutdown(wait=False)
    until("the images are inside", lambda: in_flight(worker) == before + len(images))
    return answer


def in_flight(worker: WorkerProcess) -> int:
    count: int = worker.ask("GET", "/readyz").json["in_flight"]
    return count


def best(reply: Reply) -> str:
    label: str = reply.json["predictions"][0]["label_en"]
    return label
