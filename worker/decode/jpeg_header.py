"""The header of a JPEG, read in its markers alone: no more of them than an image has, however many a file has."""

import re
import struct

import msgspec

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode.orientation import read_orientation

# ITU-T T.81, table B.1: markers.
START_OF_SCAN, END_OF_IMAGE, APP1 = 0xDA, 0xD9, 0xE1
SEQUENTIAL = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive: all Huffman codes
LOSSLESS, JPEG_LS = 0xC3, 0xF7  # the latter by ITU-T T.87
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {JPEG_LS}  # those three are tables and a reserved marker
HIERARCHY = 0xDE
NAMES = {  # of codings that are rare
    LOSSLESS: "lossless coding",
    JPEG_LS: "JPEG-LS coding",
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, HIERARCHY), "hierarchical coding"),
    0xCB: "lossless arithmetic coding",
}
PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
ARITHMETIC = frozenset(range(0xC9, 0xD0)) - {0xCC}
ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a segment
MARKER = re.compile(rb"\xff([^\0\xff])", re.DOTALL)  # after fill bytes, or others that do not belong there
FRAME = struct.Struct(">BHHB")  # precision, lines, samples in a line, components
# A colour profile has up to 255 parts; every other segment is one of few.
MAX_SEGMENTS = 2_000
MAX_SKIPPED_BYTES = 1 << 20  # between the segments, in all: encoders write none, and 30 MB take half a second


class JpegHeader(msgspec.Struct, frozen=True):
    """The size in pixels, the bits of a sample, the marker of the frame, and the EXIF orientation, 1 if none.

    Each component has its number and its (across, down) sampling. `scan` is the offset of the first scan's marker.
    """

    width: int
    height: int
    bits: int
    components: tuple[int, ...]
    sampling: tuple[tuple[int, int], ...]
    frame: int
    orientation: int
    scan: int

    @property
    def progressive(self) -> bool:
        return self.frame in PROGRESSIVE

    @property
    def arithmetic(self) -> bool:
        return self.frame in ARITHMETIC


def read_header(data: bytes) -> JpegHeader:
    """Return the header of the JPEG `data`.

    Raise ServiceError IMAGE_TOO_COSTLY if it has more than MAX_SEGMENTS or MAX_SKIPPED_BYTES, and struct.error or
    ValueError if it is damaged.
    """
    frame, kind, orientation, position, left = b"", 0, 1, 2, MAX_SKIPPED_BYTES
    for _ in range(MAX_SEGMENTS):
        # As libjpeg does, which skips what is no marker.
        marker = MARKER.search(data, position, position + left)
        if marker is None and position + left < len(data):
            raise ServiceError(
                ErrorCode.IMAGE_TOO_COSTLY,
                f"found a JPEG of more than {MAX_SKIPPED_BYTES} bytes between its segments, needed fewer: "
                "save the image again",
            )
        if marker is None:
            raise ValueError("a marker is missing")
        left -= marker.start() - position
        code, position = marker[1][0], marker.end()
        if code in ALONE:
            continue
        if code in (START_OF_SCAN, END_OF_IMAGE):
            if not frame:
                raise ValueError("it has no frame")
            return _header(frame, kind, orientation, marker.start())
        (length,) = struct.unpack_from(">H", data, position)
        if code == HIERARCHY:
            return _header(data[position + 2 : position + length], code, orientation, marker.start())
        if code in FRAMES:
            if frame:
                raise ValueError("its headers contradict each other")
            frame, kind = data[position + 2 : position + length], code
        elif code == APP1 and orientation == 1:
            orientation = read_orientation(data[position + 2 : position + length])
        position += length
    raise ServiceError(
        ErrorCode.IMAGE_TOO_COSTLY,
        f"found a JPEG of more than {MAX_SEGMENTS} segments before its pixels, needed fewer: save the image again",
    )


def _header(frame: bytes, kind: int, orientation: int, scan: int) -> JpegHeader:
    bits, height, width, count = FRAME.unpack_from(frame)
    components = [frame[FRAME.size + 3 * number :] for number in range(count)]
    factors = tuple((described[1] >> 4, described[1] & 15) for described in components)
    if not factors or not all(across and down for across, down in factors):
        raise ValueError("its frame has no components, or some without samples")
    numbers = tuple(described[0] for described in components)
    return JpegHeader(width, height, bits, numbers, factors, kind, orientation, scan)
