"""Open files below a folder in which another account may put links, without following any."""

import errno
import os
import stat
from pathlib import Path, PurePosixPath
from typing import TextIO


def open_beneath(folder: Path, name: str, errors: str = "strict") -> TextIO:
    """Return the file `name`, a relative path below `folder`, opened as UTF-8; `errors` as in `open`.

    Raise OSError where any part of `name` is a link, by which that account could show what it may not read itself, and
    for what is no regular file.
    """
    descriptor = _descend(folder, PurePosixPath(name))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no regular file", str(folder / name))
    return open(descriptor, encoding="utf-8", errors=errors)


def _descend(folder: Path, path: PurePosixPath) -> int:
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for parent in path.parts[:-1]:
            above, at = at, os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(above)
        return os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
    finally:
        os.close(at)
