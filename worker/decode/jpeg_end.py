"""The scans of a JPEG, and whether they are whole without an end marker: cameras write so, and cut files look alike."""

from collections.abc import Callable, Iterator

import numpy as np
import simplejpeg

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode import vips
from worker.decode.jpeg_header import END_OF_IMAGE, START_OF_SCAN, JpegHeader
from worker.decode.pixels import CUT_SHORT

END, SCAN = bytes([0xFF, END_OF_IMAGE]), bytes([0xFF, START_OF_SCAN])
COEFFICIENTS = 64  # of a block
PAIR = np.frombuffer(SCAN, np.uint16)[0]
PIECE = 1 << 16  # pairs, which stay in the processor's caches
# Every scan of a progressive JPEG passes over all coefficients, however few bytes it has (libjpeg-turbo's issues 252
# and 284 leave the limit to its callers). 64 megapixels in 31 scans take about 4 seconds; encoders write up to 14.
MAX_SCANNED_PIXELS = 2 * 10**9
CORRUPT, PREMATURE = "Corrupt JPEG data", "premature end"  # what libjpeg-turbo warns of; other bytes are skipped
ENDED = "found marker 0xd9 instead"  # of the next restart: the data are cut between two of them
UNNAMED = "Could not determine subsampling"  # nor does it tell of such an image whether data are missing
# What a decoder reads in place of missing data: several blocks of any code. It never reads so far in a whole image.
FILLER = bytes(range(1, 255)) * 2
CHECKED = {1: "GRAY", 3: "GRAY", 4: "CMYK"}  # components: what is decoded to see whether data are missing


def require_scans(data: bytes, header: JpegHeader) -> None:
    """Raise ServiceError IMAGE_TOO_COSTLY if the scans are more than an image of this size may have."""
    scans, area = _count_scans(data), header.width * header.height
    if scans * area > MAX_SCANNED_PIXELS:
        raise ServiceError(
            ErrorCode.IMAGE_TOO_COSTLY,
            f"found {scans} scans of {header.width} x {header.height} pixels, needed at most "
            f"{MAX_SCANNED_PIXELS // area}: save the image as a baseline JPEG",
        )


def _count_scans(data: bytes) -> int:
    """Return how often SCAN occurs in `data`, in a fifth of the time of bytes.count, which takes one by one."""
    count = 0
    for first in (0, 1):  # a pair of bytes begins at an even place or at an odd one
        pairs = np.frombuffer(data, np.uint16, (len(data) - first) // 2, first)
        for start in range(0, len(pairs), PIECE):
            count += int(np.count_nonzero(pairs[start : start + PIECE] == PAIR))
    return count


def with_end(data: bytes, header: JpegHeader) -> bytes:
    """Return the JPEG `data` with the end marker that it may lack, in place of the padding that it has instead.

    Raise ValueError if the image data end early, at a marker or without one. Return `data` as they are in arithmetic
    coding, where nothing tells: missing data are zeros that an encoder may leave out.
    """
    if header.arithmetic:
        return data
    marked = data.find(END, header.scan) >= 0
    ended = data if marked else _without_padding(data) + END
    warning = _warning(ended, len(header.sampling))
    # A progressive image may say that it ends before its last scan.
    if PREMATURE in warning or ENDED in warning or not (marked or _is_complete(data, header)):
        raise ValueError(CUT_SHORT)
    if marked and UNNAMED in warning:
        require_all_data(data, header, _eighth(data), _eighth)
    return ended if not warning or warning.startswith(CORRUPT) else data


def require_all_data(data: bytes, header: JpegHeader, values: np.ndarray, read: Callable[[bytes], np.ndarray]) -> None:
    """Raise ValueError if the image data end early at the end marker: then more of them change `values`.

    Those are what `read` returns of `data`.
    """
    end = data.find(END, header.scan)
    if not np.array_equal(values, read(data[:end] + FILLER + data[end:])):
        raise ValueError(CUT_SHORT)


def _eighth(data: bytes) -> np.ndarray:
    return vips.to_array(vips.Image.jpegload_buffer(data, shrink=8, access="sequential", fail_on="error"))


def _without_padding(data: bytes) -> bytes:
    """Return `data` without the 0x00 and 0xFF bytes at its end, but with the last stuffed byte of image data."""
    end = data.rstrip(b"\0")
    if len(end) < len(data) and end.endswith(b"\xff"):
        return end + b"\0"
    return end.rstrip(b"\xff")


def _warning(data: bytes, components: int) -> str:
    """Return the warning of libjpeg-turbo about `data`, decoded at an eighth of the size."""
    try:
        simplejpeg.decode_jpeg(data, CHECKED.get(components, "RGB"), min_height=1, min_width=1, min_factor=8)
    except (ValueError, LookupError) as error:  # simplejpeg does not know the names of all subsamplings
        return str(error)
    return ""


def _is_complete(data: bytes, header: JpegHeader) -> bool:
    """Return whether the scans hold every coefficient of every component to its last bit.

    A file may end with fewer, but one that also lacks its end marker has lost its last scans.
    """
    missing = {component: [1] * COEFFICIENTS for component in header.components}  # bits
    for components, first, last, low in _scans(data, header.scan):
        for component in components & missing.keys():
            missing[component][first : last + 1] = [low] * (last + 1 - first)
    return not any(any(bits) for bits in missing.values())


def _scans(data: bytes, position: int) -> Iterator[tuple[set[int], int, int, int]]:
    """Yield each scan's components, its first and last coefficient, and the bits that it leaves out (T.81, B.2.3)."""
    while position >= 0:
        count = data[position + 4]
        described = data[position + 5 : position + 5 + 2 * count]
        first, last, bits = data[position + 5 + 2 * count : position + 8 + 2 * count]
        yield set(described[::2]), first, min(last, COEFFICIENTS - 1), bits & 15
        position = data.find(SCAN, position + 2)
