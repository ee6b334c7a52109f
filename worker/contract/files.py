"""Files: their sha256, and writing one whole or not at all."""

import hashlib
import os
from pathlib import Path

READABLE = 0o644  # by every account, whatever the umask here


def sha256(path: Path) -> str:
    """Return the file's sha256 in lower-case hex; raise OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, text: str) -> None:
    """Write `text` in UTF-8 so that readers find the old file or the new, also after a power cut.

    Raise OSError, and leave neither a draft nor a change behind.
    """
    draft = path.with_name(f".{path.name}.new")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), READABLE)
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
