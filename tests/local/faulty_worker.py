"""gunicorn's settings for a worker that fails as a test tells it to.

`write_settings` appends this module to the real ones. What `faults/NAME` beside them says, the worker NAME does from
then on: a word, as below, and behind it, if only one of its processes is to fail, that one's id.
"""

import importlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Path, status and length of what is answered at once; SHORT promises more bytes than it sends.
REFUSED, FAILED, SHORT, NO_PROBE = "503", "500", "short", "no-probe"
ANSWERS = {
    REFUSED: ("/predict", "503 Service Unavailable", 2),
    FAILED: ("/predict", "500 Internal Server Error", 2),
    SHORT: ("/predict", "200 OK", 1000),
    NO_PROBE: ("/readyz", "500 Internal Server Error", 2),
}
ENDLESS_INFERENCE, ENDLESS_DECODING = "endless-inference", "endless-decoding"  # the next one never returns


def write_settings(folder: Path) -> Path:
    """Write the settings and an empty folder for faults into `folder`; return the settings' path."""
    own, settings = Path(__file__), folder / "gunicorn.conf.py"
    (folder / "faults").mkdir(parents=True)
    settings.write_text((own.parents[2] / "worker/gunicorn.conf.py").read_text() + own.read_text())
    return settings


def _fault() -> str:
    try:
        said = (Path(__file__).parent / "faults" / os.environ["WANWU_WORKER"]).read_text()
    except FileNotFoundError:
        return ""
    fault, _, process = said.partition(" ")
    return fault if process in ("", str(os.getpid())) else ""


class _Failing:
    """An engine whose inferences fail."""

    def __init__(self, engine: Any, hang: Callable[[], None]) -> None:
        self._engine, self._hang = engine, hang

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def infer(self, images: Any) -> Any:
        fault = _fault()
        if fault == ENDLESS_INFERENCE:
            self._hang()
        logits = self._engine.infer(images)
        if fault == "raise" or (fault == "black" and any(image.max() < 20 for image in images)):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        if fault == "end":
            raise SystemExit("the thread ends")
        if fault == "wrong":
            return logits[:, ::-1].copy()
        return {"nan": logits * float("nan"), "shape": logits[:, :1]}.get(fault, logits)


def _failing_answers(answer: Callable[..., Any]) -> Callable[..., Any]:
    def application(environ: Any, start_response: Any) -> Any:
        path, status, promised = ANSWERS.get(_fault(), ("", "", 0))
        if environ["PATH_INFO"] != path:
            return answer(environ, start_response)
        environ["wsgi.input"].read()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(promised))])
        return _cut_off(b"{}", promised)

    return application


def _cut_off(body: bytes, promised: int) -> Iterator[bytes]:
    yield body
    if len(body) < promised:
        raise ConnectionError("the answer ends here")  # or gunicorn would keep the connection


def post_fork(server: object, worker: object) -> None:
    """Put the faults in where the application loads its engine, opens an image and answers."""
    app: Any = importlib.import_module("worker.app")
    hung = threading.Event()
    load, open_image, create = app.load_engine, app._open_image, app.create_app

    def hang() -> None:
        if not hung.is_set():
            hung.set()
            threading.Event().wait()

    def opened(*arguments: Any) -> Any:
        if _fault() == ENDLESS_DECODING:
            hang()
        return open_image(*arguments)

    def created() -> Any:
        made = create()
        made.wsgi_app = _failing_answers(made.wsgi_app)
        return made

    app.load_engine = lambda *arguments: _Failing(load(*arguments), hang)
    app._open_image, app.create_app = opened, created
