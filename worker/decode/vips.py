"""libvips, which decodes an image as a stream of rows, set up for files from strangers."""

import logging
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# The package index has pyvips only as source; the copy in _vendor needs no building.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "_vendor"))
os.environ["VIPS_WARNING"] = "0"  # it warns about odd metadata on stderr; the log is for failures

import pyvips

from worker.decode.pixels import CUT_SHORT

LOADERS = {
    "JPEG": "jpegload_buffer",
    "PNG": "pngload_buffer",
    "WebP": "webpload_buffer",
    "GIF": "gifload_buffer",
    "TIFF": "tiffload_buffer",
    "AVIF": "heifload_buffer",
}
OUT_OF_MEMORY = "out of memory"  # in what libvips says when it can allocate no more
ENDS_EARLY = ("Read error", "bad seek")  # of a TIFF's strip or tile, and of any file
DTYPES: dict[str, type[Any]] = {
    "uchar": np.uint8,
    "char": np.int8,
    "ushort": np.uint16,
    "short": np.int16,
    "uint": np.uint32,
    "int": np.int32,
    "float": np.float32,
    "double": np.float64,
    "complex": np.complex64,
    "dpcomplex": np.complex128,
}

FORMATS = {dtype: name for name, dtype in DTYPES.items()}

logging.getLogger("pyvips").setLevel(logging.WARNING)  # it logs every image that is decoded
pyvips.vips_lib.vips_block_untrusted_set(1)  # only loaders that are fuzzed upstream
pyvips.vips_lib.vips_concurrency_set(1)  # requests run in parallel already; a slot's cores are theirs together
pyvips.cache_set_max(0)  # no image stays in memory after its request

Image, Error = pyvips.Image, pyvips.Error
Left = Callable[[], float]  # returns the seconds left until the deadline; raises if it has passed


def open_lazily(data: bytes, kind: str) -> pyvips.Image:
    """Return the first page or frame of the `kind` file `data`; only its header is read until the pixels are needed.

    The pixels can be read once, from top to bottom. Raise pyvips.Error if the header is damaged; reading the pixels
    raises it if they are damaged or cut short.
    """
    # Of a TIFF, libvips counts tiles that are cut short as warnings.
    fail_on = "warning" if kind == "TIFF" else "error"
    return getattr(pyvips.Image, LOADERS[kind])(data, access="sequential", fail_on=fail_on)


def from_array(values: np.ndarray) -> pyvips.Image:
    """Return `values` [H, W, bands] as an image."""
    height, width, bands = values.shape
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    return pyvips.Image.new_from_memory(values.data, width, height, bands, FORMATS[values.dtype.type])


def to_array(image: pyvips.Image, left: Left | None = None) -> np.ndarray:
    """Compute the pixels of `image` [H, W, bands], in its own type.

    Computing ends when `left` raises; then raise what it raised.
    """
    expired: list[Exception] = []

    def check(image: pyvips.Image, progress: object) -> None:
        try:
            left()  # type: ignore[misc]
        except Exception as error:
            expired.append(error)
            image.set_kill(True)

    if left:
        image = image.copy()  # the signal and the kill flag are this pipeline's own
        image.set_progress(True)
        image.signal_connect("eval", check)
    try:
        values = np.frombuffer(image.write_to_memory(), DTYPES[image.format])
    except pyvips.Error:
        if expired:
            raise expired.pop() from None  # this frame must not hold an error that holds it
        raise
    return values.reshape(image.height, image.width, image.bands)


def shrunk(image: pyvips.Image, factor: int) -> pyvips.Image:
    """Return `image` with each `factor` x `factor` pixels averaged to one; the last of a side may average fewer."""
    return image.shrink(factor, factor, ceil=True) if factor > 1 else image


def reason(error: Exception) -> str:
    """Return the first cause that `error` names, without the names of libvips' functions; "" if it names none."""
    if isinstance(error, (struct.error, OverflowError)):
        return "its header points beyond its end"
    lines = [line.split(": ", 1)[-1].strip() for line in str(getattr(error, "detail", error)).splitlines()]
    first = next((line for line in lines if line), "")
    return CUT_SHORT if first.startswith(ENDS_EARLY) else first
