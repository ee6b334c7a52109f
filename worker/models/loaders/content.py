"""Tell by its first bytes what a file of weights is, whatever its name."""

import zipfile
from pathlib import Path

SAFETENSORS, TORCH, PT2, ARCHIVE, PAGE, TAR = "safetensors", "torch", "pt2", "zip archive", "web page", "tar archive"
PICKLE = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
HEADER_BYTES = 8  # the length of the JSON at the start of a file of safetensors
TAR_MAGIC, TAR_OFFSET = b"ustar", 257


def kind_of(path: Path) -> str:
    """Return what the file `path` contains, "" if it is none of the kinds above. Raise OSError if it is unreadable."""
    with path.open("rb") as file:
        start = file.read(TAR_OFFSET + len(TAR_MAGIC))
    if start.startswith(b"PK"):
        return _of_zip(path)
    if start.startswith(PICKLE):
        return TORCH
    length = int.from_bytes(start[:HEADER_BYTES], "little")
    if start[HEADER_BYTES : HEADER_BYTES + 1] == b"{" and length <= path.stat().st_size - HEADER_BYTES:
        return SAFETENSORS
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return PAGE
    return TAR if start[TAR_OFFSET:] == TAR_MAGIC else ""


def is_weights(path: Path) -> bool:
    """Return whether the file `path` is one of torch.save or of safetensors."""
    return path.is_file() and kind_of(path) in (SAFETENSORS, TORCH)


def _of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2] or name for name in archive.namelist()}
    except zipfile.BadZipFile:
        return TORCH  # cut short
    if "archive_format" in names:
        return PT2
    return TORCH if "data.pkl" in names else ARCHIVE
