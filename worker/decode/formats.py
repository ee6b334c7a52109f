"""The served image formats, recognised by a file's first bytes."""

FORMATS = ("JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "AVIF")
MIME_TYPES = {name: f"image/{name.lower()}" for name in FORMATS}
STARTS = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": (b"BM",),
    "TIFF": (b"II*\x00", b"MM\x00*"),
}


def sniff(data: bytes) -> str | None:
    """Return the served format whose signature `data` starts with, or None; names and declared types prove nothing."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return "AVIF"
    return next((kind for kind, starts in STARTS.items() if data.startswith(starts)), None)
