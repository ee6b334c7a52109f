"""Images as the body of a request. A file is sent as it is read, so that no more than a block of it is in memory."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

from .errors import UnreadableError

BLOCK_BYTES = 1 << 16


STRAIGHT = {"RGBa": "RGBA", "La": "LA"}  # modes whose colours are multiplied by their alpha: those of others
BYTE, TWO_BYTES = (0, 255), (0, 65_535)  # black and white


@runtime_checkable
class SupportsSave(Protocol):
    """What Pillow's images can: write themselves in a format, and convert themselves into another mode."""

    @property
    def mode(self) -> str: ...

    def save(self, fp: IO[bytes], format: str) -> None: ...

    def convert(self, mode: str) -> "SupportsSave": ...

    def getextrema(self) -> Any: ...


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
    """Return the path or the bytes of `image`; an image of Pillow becomes a PNG, or a TIFF if its mode has no PNG.

    Raise UnreadableError if an open file or an image of Pillow cannot be read.
    """
    if isinstance(image, str | os.PathLike):
        return Path(image)
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, SupportsSave):
        try:
            return _encoded(image)
        except (OSError, ValueError) as error:
            raise UnreadableError(
                f"found an image of Pillow that cannot be written ({error}), needed one that can: convert it to RGB"
            ) from error
    if isinstance(image, SupportsRead):
        return _read(image)
    raise TypeError(f"found {type(image).__name__}, needed a path, bytes, an open file or an image of Pillow")


def _read(file: SupportsRead) -> bytes:
    try:
        data = b"" if isinstance(file, io.TextIOBase) else file.read()
    except (OSError, ValueError) as error:
        raise _unreadable(error) from error
    if isinstance(file, io.TextIOBase) or not isinstance(data, bytes):
        raise UnreadableError("found a file that is open as text, needed its bytes: open it with 'rb'")
    return data


def _encoded(image: SupportsSave) -> bytes:
    """Return `image` as PNG, as TIFF if its mode has no PNG, and in RGB if it has neither.

    Pixels of 32 bits become those of 8 or 16 if they fit in: the service takes the whole range of their type.
    """
    if image.mode == "I":
        darkest, brightest = image.getextrema()
        for (black, white), mode in ((BYTE, "L"), (TWO_BYTES, "I;16")):
            if black <= darkest and brightest <= white:
                return _saved(image.convert(mode), "PNG")
    for kind in ("PNG", "TIFF"):
        with suppress(OSError):
            return _saved(image, kind)
    return _saved(image.convert(STRAIGHT.get(image.mode, "RGB")), "PNG")


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
