"""The run directory: holds everything that a service on this machine writes; of it `make down` leaves the logs."""

import os
import pwd
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.base.beneath import open_beneath
from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.host.certificates import SERVED
from scripts.render.gateway import listen_ports
from scripts.render.programs import path_faults
from scripts.runtimes.change import read_members
from worker.contract.files import write_atomically

MAX_SOCKET_PATH_BYTES = 107  # bytes of sockaddr_un.sun_path, unix(7)
LINKS = {"supervisord.conf": "scripts/runtimes/local/supervisord.conf", "gateway/web": "nginx/web"}
# The gate may reload Nginx at any time, so a kit that changes in its place must not change these before `make up` does.
COPIES = {f"gateway/{name}": f"nginx/{name}" for name in ("nginx.conf", "routes.conf", "errors.conf", "access.conf")}
LOGS, INIT_LOGS = "logs", "init"  # of the service, and of `make init`
FOLDERS = ("rendered",)  # of the command
CACHE = "cache"  # a folder for each worker
OWN_FOLDERS = (LOGS, CACHE, "gateway/tmp")  # of the account under which the processes run
SHARED_FOLDERS = (".", "gateway/rendered")  # where it creates files beside the command's, which it cannot replace
SHARED_MODE = 0o1775
CLOSED_MODE = 0o755
KIT = "rendered/kit"  # names the checkout or kit whose code serves
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
    def members(self) -> Path:
        return self.path / "gateway/rendered/members.json"

    @property
    def history(self) -> Path:
        """Return the folder beside the directory that outlives it, and that no process of the service can write."""
        return self.path.with_name(f"{self.path.name}.history")

    def create(self, rendered: Mapping[str, str], owner: pwd.struct_passwd) -> None:
        """Create the directory again, with its links and the `rendered` files (path -> text); the logs stay.

        They belong to the caller. `owner` can write where its processes do, and replaces none of the caller's files.
        """
        if os.geteuid() == 0 and self.path.is_dir():
            # What is left of the last run lets the account in, which could put links there meanwhile.
            os.chown(self.path, 0, 0)
            self.path.chmod(CLOSED_MODE)
        self.remove()
        try:
            for folder in (*SHARED_FOLDERS, *FOLDERS, *OWN_FOLDERS):
                (self.path / folder).mkdir(parents=True, exist_ok=True)
            self.adopt(kit_of(rendered.get(KIT) or str(ROOT)))
            self.write(rendered)
        except OSError as error:
            self.remove()
            raise _write_error(error) from error
        if os.geteuid() == 0:
            for path in OWN_FOLDERS:
                os.chown(self.path / path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
            for folder in SHARED_FOLDERS:
                os.chown(self.path / folder, -1, owner.pw_gid)
                (self.path / folder).chmod(SHARED_MODE)

    def adopt(self, root: Path) -> None:
        """Have Nginx and supervisord read the files of the kit in `root`, each from its next start or reload on."""
        self.write({copy: (root / source).read_text(encoding="utf-8") for copy, source in COPIES.items()})
        for name, target in LINKS.items():
            link, draft = self.path / name, self.path / f"{name}.new"
            draft.unlink(missing_ok=True)
            draft.symlink_to(root / target)
            draft.replace(link)

    @property
    def kit(self) -> Path:
        """Return the folder of the kit that `adopt` was last called with."""
        name = "supervisord.conf"
        return Path(os.readlink(self.path / name).removesuffix(f"/{LINKS[name]}"))

    @property
    def runtime(self) -> str | None:
        """Return the name of the runtime that serves from this directory, or None."""
        name = self.text("runtime").strip()
        return name if name in RUNTIME_NAMES else None

    @property
    def ports(self) -> dict[str, int]:
        """Return worker name -> port for the local runtime's workers; empty if there are none."""
        return {
            name: member.port for name, member in read_members(self.text("gateway/rendered/members.json"), {}).items()
        }

    @property
    def gateway_ports(self) -> set[int]:
        """Return the ports that the local runtime's gateway listens on."""
        return listen_ports(self.text("gateway/rendered/listen.conf"))

    @property
    def all_ports(self) -> set[int]:
        """Return all ports of the local runtime's service: the gateway's and the workers'."""
        return {*self.ports.values(), *self.gateway_ports}

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
                raise _write_error(error) from error

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

    def remove_caches(self, workers: Iterable[str]) -> None:
        """Remove what `workers` kept for their next start; a link that their account has put there leads nowhere."""
        with suppress(OSError):
            folder = os.open(self.path / CACHE, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            for worker in workers:
                shutil.rmtree(worker, ignore_errors=True, dir_fd=folder)
            os.close(folder)

    def contents(self) -> list[Path]:
        """Return the paths that `remove` takes away; raise OSError if the directory cannot be read.

        A link in the place of the logs is one: their account may have put it there.
        """
        return [path for path in self.path.iterdir() if path.name not in (LOGS, INIT_LOGS) or path.is_symlink()]


def kit_of(text: str) -> Path:
    """Return the folder that the file KIT with this text names."""
    return Path(text.splitlines()[0])


def _write_error(error: OSError) -> CommandError:
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
