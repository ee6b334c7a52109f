"""The decoding processes of a worker, each started when an image needs it."""

import numpy as np

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode.budget import MEGABYTE, Budget
from worker.decode.isolated.child import Child
from worker.decode.isolated.messages import Header, OutOfMemory, Refusal, Request
from worker.decode.vips import Left


class Pool:
    """At most `count` processes, each of which reads one image at a time, in at most `seconds` of the processor."""

    def __init__(self, count: int, seconds: float) -> None:
        self._seconds = seconds
        self._places = Budget(count)
        self._idle: list[Child] = []

    def read(self, request: Request, data: bytes, left: Left) -> Header | np.ndarray:
        """Return the header of the image file `data`, or its pixels, uint8 [H, W, bands].

        Raise ServiceError: what the file's reader raises, IMAGE_TOO_COSTLY if it takes more memory or time than it may,
        UNDECODABLE if it crashes, and what `left` raises; then its process is ended, too.
        """
        with self._places.hold(1, left):
            answer = None
            while answer is None:
                child = self._child(left)
                answer = child.read(request, data, left)
            self._idle.append(child)
        if isinstance(answer, Refusal):
            raise ServiceError(answer.code, answer.message)
        if isinstance(answer, OutOfMemory):
            raise ServiceError(
                ErrorCode.IMAGE_TOO_COSTLY,
                f"found {request.reader} data that takes over {request.memory // MEGABYTE} MB of memory while it is "
                "decoded, which is more than its size explains, needed a usual image: save it as a baseline JPEG or a "
                "PNG",
            )
        return answer

    def _child(self, left: Left) -> Child:
        try:
            return self._idle.pop()
        except IndexError:
            return Child(self._seconds, left)
