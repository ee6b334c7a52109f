"""The run directory: holds everything that a service on this machine writes; of it `make down` leaves the logs."""

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.base.beneath import open_beneath
from scripts.base.errors import CommandError
from scripts.host.certificates import SERVED
from scripts.render.programs import path_faults
from worker.contract.files import write_atomically

MAX_SOCKET_PATH_BYTES = 107  # bytes of sockaddr_un.sun_path, unix(7)
LOGS, INIT_LOGS = "logs", "init"  # of the service, and of `make init`
# Each runtime has a folder of its name; choice.RUNTIMES, which has the runtimes themselves, imports this module.
RUNTIME_NAMES = frozenset(path.parent.name for path in Path(__file__).parent.glob("*/runtime.py"))


@dataclass(frozen=True)
class RunDir:
    """The run directory at `path`: its paths, and the files that the runtime writes in it."""

    path: Path

    @property
    def socket(self) -> Path:
        return self.path / "supervisord.sock"

    @property
    def pid_file(self) -> Path:
        return self.path / "supervisord.pid"

    @property
    def config(self) -> Path:
        return self.path / "supervisord.conf"

    @property
    def logs(self) -> Path:
        return self.path / LOGS

    @property
    def history(self) -> Path:
        """Return the folder beside the directory that outlives it, and that no process of the service can write."""
        return self.path.with_name(f"{self.path.name}.history")

    @property
    def runtime(self) -> str | None:
        """Return the name of the runtime that serves from this directory, or None."""
        name = self.text("runtime").strip()
        return name if name in RUNTIME_NAMES else None

    def clear_runtime(self) -> None:
        """Record that no runtime serves from this directory; keep the logs."""
        (self.path / "runtime").unlink(missing_ok=True)

    def write(self, rendered: Mapping[str, str]) -> None:
        """Write each of the `rendered` files (path -> text) atomically; raise CommandError if one cannot be written.

        Only the owner may read the file with a private key; once it exists, it keeps its owner and mode.
        """
        for name, text in rendered.items():
            path = self.path / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if name == SERVED and not path.exists():
                    path.touch(0o400)
                    if os.geteuid() == 0 and self.logs.is_dir():
                        owner = self.logs.stat(follow_symlinks=False)
                        os.chown(path, owner.st_uid, owner.st_gid)
                write_atomically(path, text, keep_access=name == SERVED)
            except OSError as error:
                raise write_error(error) from error

    def text(self, name: str) -> str:
        """Return the text of the file `name`; nothing if it cannot be read, or is a link."""
        try:
            with open_beneath(self.path, name) as file:
                return file.read()
        except (OSError, UnicodeDecodeError):
            return ""

    def has_files(self, rendered: Mapping[str, str]) -> bool:
        """Return whether the directory holds the files `rendered` (path -> text) with exactly these texts."""
        paths = {self.path / name: text for name, text in rendered.items()}
        return all(path.is_file() and path.read_text(encoding="utf-8") == text for path, text in paths.items())

    def remove(self) -> None:
        """Remove everything but the logs."""
        for path in self.contents() if self.path.is_dir() else ():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()
        for folder in (self.logs, self.path):  # which stay unless they are empty
            with suppress(OSError):
                folder.rmdir()

    def contents(self) -> list[Path]:
        """Return the paths that `remove` takes away; raise OSError if the directory cannot be read.

        A link in the place of the logs is one: their account may have put it there.
        """
        return [path for path in self.path.iterdir() if path.name not in (LOGS, INIT_LOGS) or path.is_symlink()]


def write_error(error: OSError) -> CommandError:
    """Return what is said if the run directory cannot be written."""
    return CommandError(f"{error.filename}: {error.strerror}: needed a writable run directory")


def run_dir(path: Path) -> RunDir:
    """Return the run directory at `path`.

    Raise CommandError if the path is too long for sockets, if supervisord cannot use it, or if it holds anything but
    a run directory: `remove` would delete it.
    """
    run = RunDir(path.resolve())
    if len(os.fsencode(run.socket)) > MAX_SOCKET_PATH_BYTES:
        raise CommandError(
            f"{run.path}: found a path that makes its socket paths longer than {MAX_SOCKET_PATH_BYTES} bytes: "
            "clone into a shorter path, or set one with RUN_DIR="
        )
    if faults := path_faults(run.path):
        raise CommandError(*faults)
    if "%" in str(run.path):  # supervisord expands % twice in some of its paths
        raise CommandError(f"{run.path}: needed a path without %: set one with RUN_DIR=")
    if not _is_run_directory(run):
        raise CommandError(
            f"{run.path}: found something other than a run directory, and left it alone: "
            "set an unused path with RUN_DIR="
        )
    return run


def _is_run_directory(run: RunDir) -> bool:
    try:
        return run.config.is_symlink() or run.runtime is not None or not run.path.exists() or not run.contents()
    except OSError:
        return False
