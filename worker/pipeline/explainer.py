"""Heat maps by way of the worker's own queue: each partly covered copy of the input is inferred like any input."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from worker.models.scores import Output
from worker.pipeline.admission import Deadline
from worker.pipeline.batcher import PendingInput
from worker.pipeline.classifier import Head
from worker.pipeline.heat_map import draw, evidence, heat, occlusions

# Inputs of one heat map in the queue at once: enough to fill the engine's batches, few enough that the images of
# other requests never wait for a whole heat map.
MAX_QUEUED = 8


class Explainer:
    """Find the regions that a class's score depends on, by covering one part of the input after another."""

    def __init__(self, submit: Callable[[np.ndarray], PendingInput], head: Head, output: Output) -> None:
        self._submit, self._head, self._output = submit, head, output

    def heat_map(self, pixels: np.ndarray, logits: np.ndarray, index: int, deadline: Deadline, at_once: int) -> bytes:
        """Return a PNG of `pixels`, the network's input, uint8 [H, W, C], coloured where class `index` is seen.

        `logits` [classes] is the result for `pixels`. At most `at_once` inputs are queued at any time.
        Raise ServiceError DEADLINE after removing the inputs from the queue.
        """
        rivals = self._output.rivals(index)
        uncovered = evidence(logits, index, rivals)
        covered = self._infer(occlusions(pixels), deadline, at_once)
        return draw(pixels, heat(np.array([uncovered - evidence(logits, index, rivals) for logits in covered])))

    def _infer(self, inputs: Iterable[np.ndarray], deadline: Deadline, at_once: int) -> Iterator[np.ndarray]:
        """Yield the logits [classes] of each of `inputs`, in their order."""
        waiting: deque[PendingInput] = deque()
        try:
            for pixels in inputs:
                waiting.append(self._submit(pixels))
                if len(waiting) == at_once:
                    yield self._next_logits(waiting, deadline)
            while waiting:
                yield self._next_logits(waiting, deadline)
        finally:
            for pending in waiting:
                pending.cancel()

    def _next_logits(self, waiting: deque[PendingInput], deadline: Deadline) -> np.ndarray:
        """Wait for the first of `waiting`, remove it, and return its logits [classes]."""
        try:
            outputs = waiting[0].result(timeout=deadline.left()).logits
        except TimeoutError as error:
            raise deadline.passed() from error
        waiting.popleft()
        return self._head(outputs)
