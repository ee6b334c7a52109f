"""Check the golden images, before a worker is ready and while it serves: their answers must match model.toml."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from worker.contract.engine import QUANTISED
from worker.contract.errors import ServiceError
from worker.contract.toml_reader import ModelError
from worker.models.folder import ModelFolder

TOLERANCE = 0.05  # of a score: engines and precisions differ by less, a wrong preprocessing by more
# int8 changes a score that was recorded in another precision more; the calibration images decide whether it may serve.
QUANTISED_TOLERANCE = 0.2


def check_golden(
    folder: ModelFolder,
    logits_of: Callable[[bytes], np.ndarray],
    precision: str,
    read: Callable[[Path], bytes] = Path.read_bytes,
    observe: Callable[[str, float], None] = lambda *_: None,
) -> None:
    """Classify every golden image with `logits_of` (an image's bytes -> float32 [classes]), which runs in `precision`.

    `observe` is called with each image's name and the score of the class that it must get.

    Raise ModelError if the best class differs, or if the score differs by more than the precision explains.
    """
    recorded = folder.engine.precision
    tolerance = QUANTISED_TOLERANCE if precision == QUANTISED != recorded else TOLERANCE
    for golden in folder.golden:
        try:
            logits = logits_of(read(golden.image))
        except (OSError, ServiceError) as error:
            raise ModelError(f"{golden.image}: golden image cannot be read: {error}") from error
        labels = folder.output.labels
        if len(logits) != labels.count:
            raise ModelError(
                f"{folder.path}: the network has {len(logits)} outputs, the labels have {labels.count} lines"
            )
        scores = folder.output.scores(logits)
        best = folder.output.best(scores, 1)[0]
        observe(golden.image.name, float(scores[golden.index]))
        # `not <=` instead of `>`, so that a NaN score fails.
        if best != golden.index or not abs(scores[best] - golden.score) <= tolerance:
            raise ModelError(
                f"{golden.image}: answered {labels.name(best, 'both')} ({scores[best]:.3f}), "
                f"expected {golden.label} ({golden.score:.3f}); the model, its input settings or its engine changed"
            )
