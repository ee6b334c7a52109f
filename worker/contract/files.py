"""Files: their sha256, writing one whole or not at all, and lists of variables."""

import hashlib
import os
import re
import stat
from pathlib import Path

READABLE = 0o644  # by every account, whatever the umask here
VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")


def sha256(path: Path) -> str:
    """Return the file's sha256 in lower-case hex; raise OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, text: str, *, keep_access: bool = False) -> None:
    """Write `text` in UTF-8 so that readers find the old file or the new, also after a power cut.

    Every account may read it; with `keep_access` it has the old file's mode, and for root its owner.

    Raise OSError, and leave neither a draft nor a change behind.
    """
    draft = path.with_name(f".{path.name}.new")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            old = path.stat() if keep_access else None
            os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode) if old else READABLE)
            if old and os.geteuid() == 0:
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def read_variables(path: Path) -> dict[str, str]:
    """Return the variables of a file of NAME=value lines; raise OSError, or ValueError with the line that is none."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    found = [(line, VARIABLE.fullmatch(line)) for line in lines]
    if wrong := next((line for line, match in found if match is None), None):
        raise ValueError(wrong)
    return {match[1]: match[2] for _, match in found if match}
