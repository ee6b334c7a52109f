"""The header of a JPEG, read in its markers alone: no more of them than an image has, however many a file has."""

import re
import struct
from dataclasses import dataclass

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode import tiff

# ITU-T T.81, table B.1: markers.
START_OF_SCAN, END_OF_IMAGE, APP1 = 0xDA, 0xD9, 0xE1
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # those three are tables and a reserved marker
PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a segment
MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)  # any number of fill bytes may come first
FRAME = struct.Struct(">BHHB")  # precision, lines, samples in a line, components
EXIF = b"Exif\0\0"  # EXIF 2.3: a TIFF directory follows
# A colour profile has up to 255 parts; every other segment is one of few.
MAX_SEGMENTS = 2_000


@dataclass(frozen=True)
class JpegHeader:
    """The size in pixels, each component's (across, down) sampling, the coding, and the EXIF orientation, 1 if none."""

    width: int
    height: int
    sampling: tuple[tuple[int, int], ...]
    progressive: bool
    orientation: int


def read_header(data: bytes) -> JpegHeader:
    """Return the header of the JPEG `data`.

    Raise ServiceError IMAGE_TOO_COSTLY if it has more than MAX_SEGMENTS, and struct.error or ValueError if it is
    damaged.
    """
    frame, progressive, orientation, position = b"", False, 1, 2
    for _ in range(MAX_SEGMENTS):
        marker = MARKER.match(data, position)
        if marker is None:
            raise ValueError("a marker is missing")
        code, position = marker[1][0], marker.end()
        if code in ALONE:
            continue
        if code in (START_OF_SCAN, END_OF_IMAGE):
            if not frame:
                raise ValueError("it has no frame")
            return _header(frame, progressive, orientation)
        (length,) = struct.unpack_from(">H", data, position)
        if code in FRAMES:
            frame, progressive = data[position + 2 : position + length], code in PROGRESSIVE
        elif code == APP1 and orientation == 1:
            orientation = _orientation(data[position + 2 : position + length])
        position += length
    raise ServiceError(
        ErrorCode.IMAGE_TOO_COSTLY,
        f"found a JPEG of more than {MAX_SEGMENTS} segments before its pixels, needed fewer: save the image again",
    )


def _header(frame: bytes, progressive: bool, orientation: int) -> JpegHeader:
    _, height, width, count = FRAME.unpack_from(frame)
    factors = [frame[FRAME.size + 3 * number + 1] for number in range(count)]
    if not factors or not all(factor >> 4 and factor & 15 for factor in factors):
        raise ValueError("its frame has no components, or some without samples")
    return JpegHeader(width, height, tuple((factor >> 4, factor & 15) for factor in factors), progressive, orientation)


def _orientation(segment: bytes) -> int:
    """Return the orientation that the APP1 `segment` holds; 1 if it holds none, or is damaged."""
    exif = segment.removeprefix(EXIF)
    if exif is segment or exif[:2] not in tiff.ORDERS:
        return 1
    try:
        return tiff.read_directory(exif).values.get(tiff.ORIENTATION, 1)
    except struct.error:  # broken metadata is no reason to refuse good pixels
        return 1
