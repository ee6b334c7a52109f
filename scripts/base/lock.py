"""Let one command at a time change a service, and say which one holds the lock."""

import fcntl
import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from scripts.base.errors import CommandError

MAX_HOLDER_BYTES = 500


@contextmanager
def exclusive(path: Path, command: str) -> Iterator[None]:
    """Hold the lock file `path` for `command`; raise CommandError with the holder if another process has it.

    It is removed at the end; after a kill it stays and locks nothing. Where the caller may not create it there is no
    lock: such a command changes nothing either, and says why itself.
    """
    descriptor = _open(path)
    if descriptor is None:
        yield
        return
    try:
        _lock(descriptor, path, command)
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()
    finally:
        os.close(descriptor)


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError:
        return None


def _lock(descriptor: int, path: Path, command: str) -> None:
    holder = f"make {command} (process {os.getpid()}, by {user()}, since {datetime.now():%Y-%m-%d %H:%M:%S})"
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_current = os.fstat(descriptor).st_ino == path.stat().st_ino
    except OSError:
        is_current = False  # another holds it, or held it until a moment ago and removed it
    if not is_current:
        other = os.pread(descriptor, MAX_HOLDER_BYTES, 0).decode(errors="replace") or "another command"
        raise CommandError(
            f"found {other} at work on this service, needed it to end first: two changes at once would undo each other"
        )
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, holder.encode(), 0)


def user() -> str:
    """Return the name of the user, of the one before sudo if there is one."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        return str(os.getuid())
