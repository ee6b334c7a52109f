"""What every format's reader offers, so that one way leads from any file to its pixels."""

from typing import Protocol

import numpy as np

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode.pixels import RGB, Pixels
from worker.decode.vips import Left


class File(Protocol):
    """A file of one format whose header has been read: one class a format."""

    kind: str
    width: int
    height: int

    @property
    def orientation(self) -> int: ...
    def shrink(self, factor: int) -> int: ...
    def held_bytes(self, factor: int, pixels: Pixels) -> int: ...
    def require_served(self, max_pixels: int) -> None: ...
    def decode(self, factor: int, pixels: Pixels, left: Left) -> np.ndarray: ...


def result_bytes(file: File, factor: int, pixels: Pixels) -> int:
    """Return how many bytes the decoded pixels take, shrunk by `factor`."""
    return -(-file.width // factor) * -(-file.height // factor) * max(pixels.channels, RGB)


class OtherwiseError(Exception):
    """Raised by a file's reader that does not read it, where another one may: `file`."""

    def __init__(self, file: File) -> None:
        super().__init__(file.kind)
        self.file = file


def require_served(file: File, max_pixels: int) -> None:
    """Raise ServiceError or ValueError if the file's header says that it has no pixels, too many, or costs too much."""
    if file.width < 1 or file.height < 1:
        raise ValueError(f"its header says {file.width} x {file.height} pixels")
    if file.width * file.height > max_pixels:
        raise ServiceError(
            ErrorCode.TOO_MANY_PIXELS,
            f"found {file.width} x {file.height} pixels, needed at most {max_pixels} in all: scale the image down",
        )
    file.require_served(max_pixels)
