"""HEIF's boxes (ISO/IEC 14496-12 and 23008-12): in which coding a file holds an image, whatever its brand says."""

import struct
from collections.abc import Iterator

FTYP = b"ftyp"
MAX_BOXES = 64  # of a file, before its meta box; there are few
MAX_BRANDS = 64
# The box that configures a decoder, and the brand that promises one: the name of the format.
CONFIGURATIONS = {
    b"av1C": "AVIF",
    b"hvcC": "HEIC",
    b"avcC": "HEIF (H.264)",
    b"vvcC": "HEIF (H.266)",
    b"j2kH": "HEIF (JPEG 2000)",
    b"uncC": "HEIF (uncompressed)",
}
BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "HEIC"),
    **dict.fromkeys((b"mif1", b"mif2", b"mif3", b"msf1", b"miaf"), "HEIF"),
    b"crx ": "Canon raw (CR3)",
    b"jp2 ": "JPEG 2000",
    b"qt  ": "QuickTime video",
    **dict.fromkeys((b"isom", b"iso2", b"mp41", b"mp42", b"avc1", b"M4V "), "MP4 video"),
    **dict.fromkeys((b"3gp4", b"3gp5", b"3gp6"), "3GP video"),
}
JPEG_ITEM = b"\0\0jpeg\0"  # the type of an item, which needs no configuration


def image_format(data: bytes) -> str | None:
    """Return the format of the file `data` of boxes; None if it does not start as one, or has no brand known here."""
    if data[4:8] != FTYP:
        return None
    found = next((BRANDS[brand] for brand in _brands(data) if brand in BRANDS), None)
    meta = next((content for kind, content in _boxes(data) if kind == b"meta"), b"")
    coded = [name for box, name in CONFIGURATIONS.items() if box in meta]
    if found == "HEIF" and not coded:
        return "HEIF (JPEG)" if JPEG_ITEM in meta else found
    return coded[0] if coded and found not in coded else found


def _brands(data: bytes) -> list[bytes]:
    """Return the brands, the major one first; the least box has its coding where others have their minor version."""
    body = data[8 : min(int.from_bytes(data[:4], "big"), 8 + 4 * MAX_BRANDS)] or data[8:12]
    return sorted((body[at : at + 4] for at in range(0, len(body), 4)), key=lambda brand: BRANDS.get(brand) == "HEIF")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    for _ in range(MAX_BOXES):
        if position + 8 > len(data):
            return
        size, kind = struct.unpack_from(">I4s", data, position)
        start = position + 8
        if size == 1 and start + 8 <= len(data):
            (size,) = struct.unpack_from(">Q", data, start)
        end = position + size if size else len(data)
        if end < start:
            return
        yield kind, data[start:end]
        position = end
