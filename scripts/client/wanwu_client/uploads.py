"""Images as the body of a request. A file is sent as it is read, so that no more than a block of it is in memory."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, runtime_checkable

from .errors import UnreadableError

BLOCK_BYTES = 1 << 16


@runtime_checkable
class SupportsSave(Protocol):
    """What Pillow's images can: write themselves in a format."""

    def save(self, fp: IO[bytes], format: str) -> None: ...


@runtime_checkable
class SupportsRead(Protocol):
    """A file that is open for reading bytes."""

    def read(self) -> bytes: ...


# The path of a file, its bytes, an open file, or an image of Pillow.
Image = str | os.PathLike[str] | bytes | bytearray | memoryview | SupportsRead | SupportsSave


class FileBody:
    """The first `length` bytes of an open file, for HTTP libraries; raise UnreadableError if they cannot be read."""

    def __init__(self, file: IO[bytes], length: int) -> None:
        self._file, self._length, self._left = file, length, length

    def __len__(self) -> int:
        return self._length

    def read(self, size: int = BLOCK_BYTES) -> bytes:
        try:
            block = self._file.read(min(size if size > 0 else self._left, self._left))
        except OSError as error:
            raise _unreadable(error) from error
        self._left -= len(block)
        if self._left and not block:
            raise UnreadableError("found a file that became shorter while it was read, needed a complete one")
        return block

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read():
            yield block


Body = bytes | FileBody


def stored(image: Image) -> Path | bytes:
    """Return the path or the bytes of `image`; an image of Pillow becomes a PNG, or a TIFF if its mode has no PNG."""
    if isinstance(image, str | os.PathLike):
        return Path(image)
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, SupportsSave):
        try:
            return _saved(image, "PNG")
        except OSError:
            return _saved(image, "TIFF")
    if isinstance(image, SupportsRead):
        return image.read()
    raise TypeError(f"found {type(image).__name__}, needed a path, bytes, an open file or an image of Pillow")


def _saved(image: SupportsSave, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, format=kind)
    return file.getvalue()


@contextmanager
def opened(image: Path | bytes) -> Iterator[Body]:
    """Open the body; raise UnreadableError if its file cannot be read."""
    if isinstance(image, bytes):
        yield image
        return
    try:
        if image.exists() and not image.is_file():
            raise UnreadableError("found something other than a file, needed an image file: check the path")
        file = image.open("rb", buffering=0)
    except (OSError, ValueError) as error:
        raise _unreadable(error) from error
    with file:
        length = os.fstat(file.fileno()).st_size
        yield FileBody(file, length) if length else b""


def _unreadable(error: Exception) -> UnreadableError:
    found = getattr(error, "strerror", None) or str(error)
    return UnreadableError(
        f"found a file that cannot be read ({found}), needed one that can: check its path and rights"
    )
