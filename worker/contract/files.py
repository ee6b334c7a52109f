"""Compute a file's sha256, write a file atomically, and read environment files."""

import hashlib
import os
import re
import stat
from pathlib import Path

READABLE = 0o644  # by every account, whatever the umask
VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")


def sha256(path: Path) -> str:
    """Return the file's sha256 in lower-case hex. Raise OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, text: str, *, keep_access: bool = False) -> None:
    """Write `text` in UTF-8 so that readers find either the old file or the new one, even after a power failure.

    Every account may read the file; with `keep_access` it keeps the old file's mode, and its owner if this is root.
    A link that another account put in the draft's place is not followed.

    Raise OSError if that fails, which names a file; the old file is then unchanged and no draft remains.
    """
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    try:
        with draft.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            old = path.stat() if keep_access else None
            os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode) if old else READABLE)
            if old and os.geteuid() == 0:
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # as of every write
            error.filename = str(path)
        raise


def read_variables(path: Path) -> dict[str, str]:
    """Return the variables in a file of NAME=value lines. Raise OSError, or ValueError with the first faulty line."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    matches = [(line, VARIABLE.fullmatch(line)) for line in lines]
    if faulty := next((line for line, match in matches if match is None), None):
        raise ValueError(faulty)
    return {match[1]: match[2] for _, match in matches if match}
