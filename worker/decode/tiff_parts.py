"""The strips and tiles of a TIFF: what they unpack to is bounded before they are unpacked."""

import math
import struct
import zlib

from tifffile import COMPRESSION, TiffPage

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode.jpeg_header import read_header

DEFLATE = (COMPRESSION.DEFLATE, COMPRESSION.ADOBE_DEFLATE)
# Codecs that unpack to no more bytes than they are asked for.
BOUNDED = (
    COMPRESSION.NONE, COMPRESSION.LZW, COMPRESSION.PACKBITS, COMPRESSION.LZMA, COMPRESSION.ZSTD,
    COMPRESSION.CCITTRLE, COMPRESSION.CCITTFAX3, COMPRESSION.CCITTFAX4, COMPRESSION.ZSTD_DEPRECATED,
)  # fmt: skip
JPEGS = (COMPRESSION.JPEG, COMPRESSION.JPEG_LOSSY, COMPRESSION.ALT_JPEG)
JPEG_2000S = (
    COMPRESSION.JPEG2000, COMPRESSION.JPEG_2000_LOSSY, COMPRESSION.APERIO_JP2000_RGB, COMPRESSION.APERIO_JP2000_YCBC,
)  # fmt: skip
LERC = (COMPRESSION.LERC,)
SIZED = (*JPEGS, *JPEG_2000S, *LERC)  # codecs that unpack to the size in the header of each part
READABLE = (*BOUNDED, *DEFLATE, *SIZED)
NAMES: dict[int, str] = dict.fromkeys((COMPRESSION.JPEGXL, COMPRESSION.JPEGXL_DNG), "JPEG XL")

SIZ = b"\xff\x4f\xff\x51"  # JPEG 2000, ITU-T T.800, A.5.1: the markers before the size
J2K_SIZE = struct.Struct(">4xHHIIII")  # marker segment length and capabilities, then the size and its offset
LERC_MAGIC = b"Lerc2 "
LERC_SIZE = {1: (10, "<II"), 2: (10, "<II")}  # by version; the later ones have a checksum before the size
LERC_LATER = (14, "<II")
PACKED_LERC = 0  # LercParameters: version, and the further compression, 0 if none


def require_readable(page: TiffPage) -> None:
    """Raise ServiceError UNSUPPORTED_COMPRESSION if no bounded codec reads the parts of `page`."""
    if page.compression not in READABLE:
        name = NAMES.get(page.compression, getattr(page.compression, "name", f"method {page.compression}"))
        raise unsupported(f"compressed by {str(name).replace('_', ' ')}")


def require_bounded(page: TiffPage, data: bytes) -> None:
    """Raise ValueError if a part unpacks to more than its pixels."""
    area, size = math.prod(page.chunks[:2]), math.prod(page.chunks) * _itemsize(page)
    for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        packed = data[start : start + count]
        if page.compression in DEFLATE:
            too_large = len(zlib.decompressobj().decompress(packed, size + 1)) > size
        else:
            too_large = page.compression in SIZED and _area(page, packed) > area
        if too_large:
            raise ValueError("a part of it unpacks to more than it holds")


def unsupported(how: str) -> ServiceError:
    return ServiceError(
        ErrorCode.UNSUPPORTED_COMPRESSION,
        f"found a TIFF {how}, which is not served, needed another form: save it as PNG, or as TIFF with Deflate",
    )


def _itemsize(page: TiffPage) -> int:
    return page.dtype.itemsize if page.dtype else 1


def _area(page: TiffPage, packed: bytes) -> int:
    """Return the pixels that the header of a part claims; 0 if it has none, and unpacking will fail."""
    if not packed:
        return 0
    if page.compression in JPEGS:
        if not packed.startswith(b"\xff\xd8"):
            return 0
        header = read_header(packed)
        return header.width * header.height
    if page.compression in JPEG_2000S:
        _, _, width, height, left, top = J2K_SIZE.unpack_from(packed, packed.index(SIZ))
        return (width - left) * (height - top)
    parameters = page.tags.valueof("LercParameters") or (0, PACKED_LERC)
    if parameters[1] != PACKED_LERC:
        raise unsupported("compressed by LERC and once more")
    (version,) = struct.unpack_from("<i", packed, packed.index(LERC_MAGIC) + len(LERC_MAGIC))
    offset, numbers = LERC_SIZE.get(version, LERC_LATER)
    rows, columns = struct.unpack_from(numbers, packed, offset)
    return rows * columns
