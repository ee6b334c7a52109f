"""Let one command at a time change a service or a folder; of a service, say which one."""

import fcntl
import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from scripts.base.console import step
from scripts.base.errors import CommandError

MAX_HOLDER_BYTES = 500


@contextmanager
def exclusive(path: Path, command: str, patient: bool = False) -> Iterator[None]:
    """Hold the lock file `path` for `command`; if another process has it, raise CommandError, or wait if `patient`.

    Both say who has it. It is removed at the end; after a kill it stays and locks nothing. Where the caller may not
    create it there is no lock: such a command changes nothing either, and says why itself.
    """
    descriptor = _acquire(path, patient)
    if descriptor is None:
        yield
        return
    try:
        holder = f"make {command} (process {os.getpid()}, by {user()}, since {datetime.now():%Y-%m-%d %H:%M:%S})"
        with suppress(OSError):  # on a full disk the lock holds without its holder's name
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, holder.encode(), 0)
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()
    finally:
        os.close(descriptor)


def _acquire(path: Path, patient: bool) -> int | None:
    """Return the open lock file, locked; None where there is none."""
    while (descriptor := _open(path)) is not None:
        try:
            if not _lock(descriptor):
                holder = os.pread(descriptor, MAX_HOLDER_BYTES, 0).decode(errors="replace") or "another command"
                if not patient:
                    raise CommandError(
                        f"found {holder} at work on this service, needed it to end first: two changes at once would "
                        "undo each other"
                    )
                step(f"waiting for {holder}, which is at work on this service")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            elif _is_at(path, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder removes it at the end
    return None


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError:
        return None


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except OSError:
        return False


@contextmanager
def locked(folder: Path, patient: bool = False) -> Iterator[None]:
    """Hold the lock on `folder`; if another process holds it, raise BlockingIOError, or wait if `patient`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if patient else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


def user() -> str:
    """Return the name of the user, of the one before sudo if there is one."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        return str(os.getuid())
