"""Tell an engine that can no longer answer from inputs that no engine can answer."""

from collections.abc import Callable

import numpy as np

FAILURES_TO_CHECK = 3  # batches in a row


class OutputError(Exception):
    """An engine returned something that is no result."""


class EngineGuard:
    """Count batches that failed whole, each input also alone; after three in a row, check the engine itself.

    `check` runs what the engine must be able to answer, the golden images, and raises if it does not. If it succeeds,
    the inputs were bad, and the count starts anew. Otherwise `fault` says why the engine can no longer answer. Not safe
    for use from several threads: the engine's thread alone uses it.
    """

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._failures = 0
        self.fault: str | None = None

    def count(self, error: Exception | None) -> None:
        """Count one batch: `error` is why all its inputs failed, None if any has a result."""
        self._failures = self._failures + 1 if error else 0
        if error is None or self._failures < FAILURES_TO_CHECK:
            return
        try:
            self._check()
        except Exception as failed:
            self.fault = (
                f"{self._failures} batches in a row failed ({describe(error)}), and then the golden images: "
                f"{describe(failed)}"
            )
        else:
            self._failures = 0


def describe(error: BaseException) -> str:
    """Return the type and the first line of the message of `error`, in at most 300 characters."""
    message = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {message}"[:300]


def check_outputs(logits: np.ndarray, inputs: int, outputs: int | None) -> None:
    """Raise OutputError unless `logits` has a row without NaN for each of `inputs`, of `outputs` columns if known."""
    rows, columns = inputs, "any" if outputs is None else outputs
    if logits.ndim != 2 or len(logits) != inputs or outputs not in (None, logits.shape[1]):
        raise OutputError(
            f"found outputs of shape {list(logits.shape)}, needed [{rows}, {columns}]: see the engine's log"
        )
    if np.isnan(logits).any():
        raise OutputError(f"found NaN in the outputs for {inputs} inputs, needed numbers: see the engine's log")
