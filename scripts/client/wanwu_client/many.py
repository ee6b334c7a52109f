"""Classify many images in parallel: a few are ahead of the one whose answer is due, however many there are."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from .answers import Answer
from .errors import WanwuError

AHEAD = 4  # images per thread whose answers may wait for an earlier one's
ImageT = TypeVar("ImageT")


@dataclass(frozen=True)
class Outcome(Generic[ImageT]):
    """An image with its answer, or with the error that it met; exactly one of the two is None."""

    image: ImageT
    answer: Answer | None
    error: WanwuError | None


def in_parallel(
    classify: Callable[[ImageT], Answer], images: Iterable[ImageT], at_once: int, cancel: Callable[[], None]
) -> Generator[Outcome[ImageT], None, None]:
    """Yield the outcome of each image in order; call `cancel` if the caller closes the generator early."""
    with ThreadPoolExecutor(at_once, thread_name_prefix="wanwu") as pool:
        waiting: deque[tuple[ImageT, Future[Answer]]] = deque()
        try:
            for image in images:
                waiting.append((image, pool.submit(classify, image)))
                if len(waiting) >= AHEAD * at_once:
                    yield _outcome(*waiting.popleft())
            while waiting:
                yield _outcome(*waiting.popleft())
        finally:
            if waiting:
                cancel()
                pool.shutdown(wait=False, cancel_futures=True)


def _outcome(image: ImageT, future: "Future[Answer]") -> Outcome[ImageT]:
    try:
        return Outcome(image, future.result(), None)
    except WanwuError as error:
        return Outcome(image, None, error)
