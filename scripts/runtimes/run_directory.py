"""The local runtime's one run directory: all that it writes lies here, and `make down` takes it away."""

import json
import os
import pwd
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.render.common import path_faults
from worker.contract.files import write_atomically

LONGEST_SOCKET = 107  # bytes of sockaddr_un.sun_path, unix(7)
LINKS = {
    "supervisord.conf": "scripts/runtimes/local/supervisord.conf",
    "gateway/nginx.conf": "nginx/nginx.conf",
    "gateway/routes.conf": "nginx/routes.conf",
    "gateway/errors.conf": "nginx/errors.conf",
    "gateway/web": "nginx/web",
}
FOLDERS = ("logs", "cache", "rendered", "gateway/rendered", "gateway/tmp")
INIT_LOGS = "init"  # where `make init` keeps what servers said


@dataclass(frozen=True)
class RunDir:
    """Paths inside the run directory."""

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
        return self.path / "logs"

    @property
    def members(self) -> Path:
        return self.path / "gateway/rendered/members.json"

    def create(self, rendered: Mapping[str, str], owner: pwd.struct_passwd) -> None:
        """Make the directory anew with its links and `rendered` files (path -> text), all of them `owner`'s."""
        self.remove()
        try:
            for folder in FOLDERS:
                (self.path / folder).mkdir(parents=True)
            for link, target in LINKS.items():
                (self.path / link).symlink_to(ROOT / target)
            self.write(rendered)
        except OSError as error:
            self.remove()
            raise _unwritable(error) from error
        if os.geteuid() == 0:
            for path in (self.path, *self.path.rglob("*")):
                os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)

    @property
    def runtime(self) -> str | None:
        """The name of the runtime that serves from here, or None when none does."""
        try:
            found = (self.path / "runtime").read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return None
        from scripts.runtimes.choice import RUNTIMES  # which imports this module

        return found if found in RUNTIMES else None

    @property
    def ports(self) -> dict[str, int]:
        """The port of every worker that the local runtime has put here, by name; empty where there is none."""
        try:
            pools = json.loads(self.members.read_text(encoding="utf-8"))["pools"]
            members = [member for pool in pools for member in pool["members"]]
            return {member["worker"]: int(member["address"].rpartition(":")[2]) for member in members}
        except (OSError, ValueError, LookupError, TypeError):
            return {}

    @property
    def held_ports(self) -> set[int]:
        """All ports that the local runtime's service in here listens on, the gateway's and the workers'."""
        try:
            listen = (self.members.parent / "listen.conf").read_text(encoding="utf-8")
        except OSError:
            return set()
        return {*self.ports.values(), *map(int, re.findall(r"^listen (\d+);$", listen, re.MULTILINE))}

    def disown(self) -> None:
        """Say that no runtime serves from here; the logs stay."""
        (self.path / "runtime").unlink(missing_ok=True)

    def write(self, rendered: Mapping[str, str]) -> None:
        """Write the `rendered` files (path -> text), each at once or not at all; raises CommandError."""
        for name, text in rendered.items():
            path = self.path / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, text)
            except OSError as error:
                raise _unwritable(error) from error

    def holds(self, rendered: Mapping[str, str]) -> bool:
        """Whether the rendered files here are exactly `rendered`."""
        paths = {self.path / name: text for name, text in rendered.items()}
        return all(path.is_file() and path.read_text(encoding="utf-8") == text for path, text in paths.items())

    def remove(self) -> None:
        """Take all away but the logs of `make init`, which are no part of what runs here."""
        for path in self.contents() if self.path.is_dir() else ():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()
        with suppress(OSError):
            self.path.rmdir()

    def contents(self) -> list[Path]:
        """All that lies in here for the sake of what runs; raises OSError."""
        return [path for path in self.path.iterdir() if path.name != INIT_LOGS]


def _unwritable(error: OSError) -> CommandError:
    return CommandError(f"{error.filename}: {error.strerror}: needed a run directory that can be written")


def run_dir(path: Path) -> RunDir:
    """The run directory at `path`.

    Raises CommandError when sockets could not be reached there, when supervisord cannot be told the path, and when
    something else lies there: a run directory is taken away as a whole.
    """
    found = RunDir(path.resolve())
    if len(os.fsencode(found.socket)) > LONGEST_SOCKET:
        raise CommandError(
            f"{found.path}: found a path so long that sockets inside have more than {LONGEST_SOCKET} bytes: "
            "clone into a shorter path, or give one with RUN_DIR="
        )
    if faults := path_faults(found.path):
        raise CommandError(*faults)
    if "%" in str(found.path):  # which supervisord expands once more for some of its files
        raise CommandError(f"{found.path}: needed a path without %: give one with RUN_DIR=")
    if not _is_ours(found):
        raise CommandError(
            f"{found.path}: found something else than a run directory, and would not take it away: "
            "give a path that is free with RUN_DIR="
        )
    return found


def _is_ours(run: RunDir) -> bool:
    try:
        return run.config.is_symlink() or run.runtime is not None or not run.path.exists() or not run.contents()
    except OSError:
        return False
