"""Heat maps by way of the worker's own queue: each partly covered copy of the input is inferred like any input."""

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from worker.models.scores import Output
from worker.pipeline.admission import Deadline
from worker.pipeline.classifier import Head, Submit, result_of
from worker.pipeline.heat_map import HeatMap, evidence, heat, occlusions
from worker.pipeline.pending_input import PendingInput

# Inputs of one heat map in the queue at once: one runs while the next is made. With more, fewer heat maps would fit
# into their share of the queue.
MAX_QUEUED = 2


class Explainer:
    """Find the regions that a class's score depends on, by covering one part of the input after another."""

    def __init__(self, submit: Submit, head: Head, output: Output) -> None:
        self._submit, self._head, self._output = submit, head, output

    def with_head(self, head: Head, output: Output) -> "Explainer":
        """Return an explainer of the same network with another head and its output."""
        return Explainer(self._submit, head, output)

    def heat_map(self, pixels: np.ndarray, logits: np.ndarray, index: int, deadline: Deadline, at_once: int) -> HeatMap:
        """Return where class `index` is seen in `pixels`, the network's input, uint8 [H, W, C].

        `logits` [classes] is the result for `pixels`. At most `at_once` inputs are queued, in the background.
        Raise ServiceError DEADLINE or CLIENT_GONE after removing the inputs from the queue.
        """
        rivals = self._output.rivals(index)
        uncovered = evidence(logits, index, rivals)
        covered = self._infer(occlusions(pixels), deadline, at_once)
        losses = np.array([uncovered - evidence(logits, index, rivals) for logits in covered])
        return HeatMap(pixels, heat(losses))

    def _infer(self, inputs: Iterable[np.ndarray], deadline: Deadline, at_once: int) -> Iterator[np.ndarray]:
        """Yield the logits [classes] of each of `inputs`, in their order."""
        waiting: deque[PendingInput] = deque()
        try:
            for pixels in inputs:
                waiting.append(self._submit(pixels, True))
                if len(waiting) == at_once:
                    yield self._next_logits(waiting, deadline)
            while waiting:
                yield self._next_logits(waiting, deadline)
        finally:
            for pending in waiting:
                pending.cancel()

    def _next_logits(self, waiting: deque[PendingInput], deadline: Deadline) -> np.ndarray:
        """Wait for the first of `waiting`, remove it, and return its logits [classes]."""
        outputs = result_of(waiting[0], deadline).logits
        waiting.popleft()
        return self._head(outputs)
