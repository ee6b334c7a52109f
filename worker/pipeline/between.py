"""A context of two calls, where contextlib's generators would cost a request more than what they frame."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Between(Generic[T]):
    """Call `enter` and `leave` around a block, whose value is what `enter` returns."""

    __slots__ = ("_enter", "_leave")

    def __init__(self, enter: Callable[[], T], leave: Callable[[], object]) -> None:
        self._enter, self._leave = enter, leave

    def __enter__(self) -> T:
        return self._enter()

    def __exit__(self, *_: object) -> None:
        self._leave()
