"""Heat maps through the worker's own stages: the image with parts covered is asked about like any other."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from worker.models.scores import Output
from worker.pipeline.admission import Deadline
from worker.pipeline.batcher import Pending
from worker.pipeline.classifier import Head
from worker.pipeline.heat_map import draw, evidence, heat, occlusions

# Inputs of one heat map in the queue at once: enough to keep an engine in batches, few enough that the images of
# others, which are taken in turn, never wait for all of a map's.
AT_ONCE = 8


class Explainer:
    """Finds where the network looks, by what is lost when a part of the image is covered."""

    def __init__(self, submit: Callable[[np.ndarray], Pending], head: Head, output: Output) -> None:
        self._submit, self._head, self._output = submit, head, output

    def heat_map(self, pixels: np.ndarray, logits: np.ndarray, index: int, deadline: Deadline, at_once: int) -> bytes:
        """A PNG of `pixels`, uint8 [H, W, C] as the network sees them, glowing where it looks for class `index`.

        `logits` [classes] are its answer to them; never more than `at_once` images are in the queue for this.
        Raises ServiceError DEADLINE, which leaves none in the queue.
        """
        rivals = self._output.rivals(index)
        known = evidence(logits, index, rivals)
        answers = self._ask(occlusions(pixels), deadline, at_once)
        return draw(pixels, heat(np.array([known - evidence(answer, index, rivals) for answer in answers])))

    def _ask(self, images: Iterable[np.ndarray], deadline: Deadline, at_once: int) -> Iterator[np.ndarray]:
        """The logits [classes] of each of `images`, in their order."""
        waiting: deque[Pending] = deque()
        try:
            for image in images:
                waiting.append(self._submit(image))
                if len(waiting) == at_once:
                    yield self._answer(waiting, deadline)
            while waiting:
                yield self._answer(waiting, deadline)
        finally:
            for future in waiting:
                future.cancel()

    def _answer(self, waiting: deque[Pending], deadline: Deadline) -> np.ndarray:
        """The logits of the first; it is no longer waiting once they are there."""
        try:
            outputs = waiting[0].result(timeout=deadline.left()).logits
        except TimeoutError as error:
            raise deadline.passed() from error
        waiting.popleft()
        return self._head(outputs)
