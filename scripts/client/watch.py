"""Watch folders for images that are complete: neither growing nor open for writing in any program on this machine."""

import fcntl
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.base.console import printable
from scripts.base.errors import CommandError
from scripts.client.images import files

POLL_S = 1.0
Signature = tuple[int, int, int]  # size, time of the last change in ns, inode


class Folder:
    """The images in `paths` that were not accepted yet; raise CommandError if one of `paths` is no folder."""

    def __init__(self, paths: Sequence[Path], poll_s: float = POLL_S) -> None:
        if wrong := [path for path in paths if not path.is_dir()]:
            raise CommandError(
                *(f"{printable(str(path))}: found a file, needed a folder to watch: correct IMAGES=" for path in wrong)
            )
        self.paths, self._poll_s = paths, poll_s
        self._seen: dict[str, Signature | None] = {}
        self._accepted: set[str] = set()
        # A program that opens a file in the moment of the test below raises it here; its default would end the command.
        signal.signal(signal.SIGIO, signal.SIG_IGN)

    def complete(self) -> list[str]:
        """Return the images that did not change since the last call and that no program has open for writing."""
        before, self._seen = self._seen, {}
        for path in self.paths:
            for name in files(path, []):
                if name not in self._accepted:
                    self._seen[name] = _signature(name)
        same = [name for name, found in self._seen.items() if found and found == before.get(name)]
        return [name for name in same if not is_being_written(name)]

    def accept(self, name: str) -> bool:
        """Return whether the image is as `complete` saw it; if so, do not return it again."""
        if _signature(name) not in (None, self._seen.get(name)):
            return False
        self._accepted.add(name)
        return True

    def skip(self, name: str) -> None:
        """Do not return the image again."""
        self._accepted.add(name)

    def wait(self) -> None:
        """Wait until it is worth looking again."""
        time.sleep(self._poll_s)


def is_being_written(name: str) -> bool:
    """Return whether a program on this machine has the file open for writing.

    The kernel grants a read lease only on a file that no one writes (fcntl(2), F_SETLEASE). Where it grants none, to
    other accounts' files or on network file systems, the answer is False.
    """
    try:
        file = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(file)
    return False


def _signature(name: str) -> Signature | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
