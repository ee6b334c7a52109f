"""Tell image files from others, without decoding them."""

from pathlib import Path

SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif"),
    *(".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif"),
}
# The first bytes of the served formats but BMP, whose two letters may begin any text.
STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SIGNATURE_BYTES = 12


def is_image_file(path: Path) -> bool:
    """Return whether the suffix, or else the first bytes, are those of an image; raise OSError if it is unreadable."""
    if path.suffix.lower() in SUFFIXES:
        return True
    with path.open("rb") as file:
        start = file.read(SIGNATURE_BYTES)
    return start.startswith(STARTS) or start[4:8] == b"ftyp" or (start[:4], start[8:]) == (b"RIFF", b"WEBP")
