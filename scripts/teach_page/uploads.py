"""Take images into a staging folder, as `make teach` reads it: a folder for each class. It is removed in the end."""

import os
import shutil
import tempfile
import threading
import unicodedata
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from scripts.models.tools.teach import HELD_OUT, LEARNED
from scripts.teach_page.errors import Code, Refused
from worker.contract.litter import is_litter

STAGING = ".upload-"  # begins the name of a staging folder; a dot keeps it out of the list of models
MAX_CLASSES, MAX_IMAGES, MAX_BYTES = 1000, 20_000, 8 << 30
SPARE_BYTES = 256 << 20  # of the disk that stay free
MAX_NAME_BYTES = 200  # of a folder or file
CHUNK_BYTES = 1 << 20


class Upload:
    """The images for a model called `name`, in a new folder inside `models`."""

    def __init__(self, models: Path, name: str) -> None:
        models.mkdir(parents=True, exist_ok=True)
        self.name = name
        self._staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=models))
        self.images = self._staging / name
        self.images.mkdir()
        self.classes = Counter[str]()
        self.bytes = 0
        self._lock = threading.Lock()
        self._claimed = 0  # images that were begun
        self._removed = False

    def add(self, class_name: str, part: str, file_name: str, body: BinaryIO, length: int) -> None:
        """Store `length` bytes of `body` as an image of a class; `part` is "", LEARNED or one of HELD_OUT.

        Raise Refused if it cannot be stored; nothing of it is left then.
        """
        class_name = require_class(class_name)
        if part not in ("", LEARNED, *HELD_OUT):
            raise Refused(Code.BAD_REQUEST, f"found part {part!r}, needed one of {', '.join((LEARNED, *HELD_OUT))}")
        number = self._claim(class_name, length)
        folder = self.images / part / class_name
        try:
            for path in (folder.parent, folder):
                path.mkdir(exist_ok=True)
            _write(folder, file_name if is_safe(file_name) else "image", number, body, length)
        except BaseException as error:
            with self._lock:
                self.classes[class_name] -= 1
                self.bytes -= length
            if isinstance(error, OSError):
                raise Refused(Code.NO_SPACE, f"{error.strerror or error}: needed a disk that can be written") from None
            raise
        finally:
            if self._removed:  # meanwhile
                self.remove()

    def _claim(self, class_name: str, length: int) -> int:
        """Count an image before it is written, so that several at once stay within the limits; return its number."""
        with self._lock:
            if self._removed:
                raise Refused(Code.NO_UPLOAD, "found a discarded upload, needed one that goes on: begin again")
            if class_name not in self.classes and len(self.classes) >= MAX_CLASSES:
                raise Refused(Code.TOO_MANY, f"found more than {MAX_CLASSES} classes, needed at most as many")
            if self.classes.total() >= MAX_IMAGES:
                raise Refused(Code.TOO_MANY, f"found more than {MAX_IMAGES} images, needed at most as many")
            if self.bytes + length > MAX_BYTES:
                raise Refused(Code.TOO_MANY, f"found more than {MAX_BYTES >> 30} GB, needed at most as many")
            if shutil.disk_usage(self._staging).free - length < SPARE_BYTES:
                raise Refused(Code.NO_SPACE, f"found too little space, needed {SPARE_BYTES >> 20} MB that stay free")
            self.classes[class_name] += 1
            self.bytes += length
            self._claimed += 1
            return self._claimed

    def remove(self) -> None:
        self._removed = True
        shutil.rmtree(self._staging, ignore_errors=True)


def remove_leftovers(models: Path) -> None:
    """Remove the staging folders of a service that was killed."""
    for folder in models.glob(f"{STAGING}*"):
        shutil.rmtree(folder, ignore_errors=True)


def require_class(name: str) -> str:
    """Return `name` as a folder of a class may be called; raise Refused if it may not."""
    composed = unicodedata.normalize("NFC", name).strip()
    if not is_safe(composed):
        raise Refused(
            Code.BAD_CLASS,
            f"found the class {name!r}, needed 1 to {MAX_NAME_BYTES} bytes of printable characters, without slashes "
            "and without a dot at the beginning",
        )
    return composed


def is_safe(name: str) -> bool:
    """Return whether `name` is one visible part of a path, and one that `make teach` does not pass over."""
    return (
        0 < len(name.encode(errors="surrogatepass")) <= MAX_NAME_BYTES
        and not name.startswith(".")
        and not {*"/\\"} & {*name}
        and not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in name)
        and not is_litter(name)
    )


def _write(folder: Path, name: str, number: int, body: BinaryIO, length: int) -> None:
    """Write `body` to a file called `name`, or to one with its `number` before it if there is such a file."""
    path = folder / name
    try:
        file = path.open("xb")
    except FileExistsError:
        path = folder / f"{number}-{name}"
        file = path.open("xb")
    try:
        with file:
            left = length
            while left and (chunk := body.read(min(left, CHUNK_BYTES))):
                file.write(chunk)
                left -= len(chunk)
        if left:
            raise Refused(Code.BAD_REQUEST, f"found {length - left} bytes, needed {length}: send it again")
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise
