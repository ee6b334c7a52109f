"""Check the golden images again and again while the worker serves: memory, a driver or a GPU may have gone wrong."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from worker.contract.errors import ServiceError
from worker.contract.toml_reader import ModelError
from worker.pipeline.batcher import Batcher

log = logging.getLogger(__name__)

Head = Callable[[np.ndarray], np.ndarray]


class LogitsOf(Protocol):
    """Decode an image and infer its tiles, each uint8 [1, H, W, C] -> float32 [1, classes], on the engine."""

    def __call__(self, data: bytes, *, infer: Callable[[np.ndarray], np.ndarray]) -> np.ndarray: ...


class Inconclusive(Exception):
    """The golden images were not classified, which says nothing about the answers: the watchdog sees what hangs."""


def classify_in_background(
    logits_of: LogitsOf, batcher: Batcher, head: Head, seconds: float, image: bytes
) -> np.ndarray:
    """Return what `logits_of` makes of the file `image` and of the engine: float32 [classes].

    Its inputs hold no place of the queue and let those of requests pass. Raise Inconclusive if one has no result after
    `seconds`, or if the image is not decoded.
    """

    def infer(batch: np.ndarray) -> np.ndarray:
        pending = batcher.submit(batch[0], background=True)
        try:
            return head(pending.result(seconds).logits[np.newaxis])
        finally:
            pending.cancel()

    try:
        return logits_of(image, infer=infer)
    except ServiceError as error:  # check_golden would take it for a fault of the image
        raise Inconclusive(str(error)) from error


def watch_golden(
    check: Callable[[], None], interval_s: float, busy: Callable[[], bool], give_up: Callable[[str], None]
) -> None:
    """Start a thread that calls `check` every `interval_s` and `give_up` once, with the ModelError that it raises.

    While the worker is `busy`, the check waits, at most for another `interval_s`.
    """

    def loop() -> None:
        while True:
            time.sleep(interval_s)
            until = time.monotonic() + interval_s
            while busy() and time.monotonic() < until:
                time.sleep(min(1.0, interval_s / 10))
            if fault := _checked(check):
                return give_up(fault)

    threading.Thread(target=loop, name="golden", daemon=True).start()


def _checked(check: Callable[[], None]) -> str | None:
    try:
        check()
    except ModelError as error:
        return str(error)
    except Exception as error:
        log.warning("the golden images were not checked: %s: %s", type(error).__name__, error)
    return None
