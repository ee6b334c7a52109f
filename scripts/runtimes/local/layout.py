"""The layout of a run directory: what the processes of a service find there, and where they may write."""

import os
import pwd
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from scripts.cluster.config import ROOT
from scripts.runtimes.run_directory import LOGS, RunDir, write_error

LINKS = {"supervisord.conf": "scripts/runtimes/local/supervisord.conf", "gateway/web": "nginx/web"}
# The gate may reload Nginx at any time, so a kit that changes in its place must not change these before `make up` does.
COPIES = {f"gateway/{name}": f"nginx/{name}" for name in ("nginx.conf", "routes.conf", "errors.conf", "access.conf")}
FOLDERS = ("rendered",)  # of the command
CACHE = "cache"  # a folder for each worker
OWN_FOLDERS = (LOGS, CACHE, "gateway/tmp")  # of the account under which the processes run
SHARED_FOLDERS = (".", "gateway/rendered")  # where it creates files beside the command's, which it cannot replace
SHARED_MODE = 0o1775
CLOSED_MODE = 0o755
KIT = "rendered/kit"  # names the checkout or kit whose code serves


def create(run: RunDir, rendered: Mapping[str, str], owner: pwd.struct_passwd) -> None:
    """Create the directory of `run` again, with its links and the `rendered` files (path -> text); the logs stay.

    They belong to the caller. `owner` can write where its processes do, and replaces none of the caller's files.
    """
    if os.geteuid() == 0 and run.path.is_dir():
        # What is left of the last run lets the account in, which could put links there meanwhile.
        os.chown(run.path, 0, 0)
        run.path.chmod(CLOSED_MODE)
    run.remove()
    try:
        for folder in (*SHARED_FOLDERS, *FOLDERS, *OWN_FOLDERS):
            (run.path / folder).mkdir(parents=True, exist_ok=True)
        adopt(run, kit_of(rendered.get(KIT) or str(ROOT)))
        run.write(rendered)
    except OSError as error:
        run.remove()
        raise write_error(error) from error
    if os.geteuid() == 0:
        for path in OWN_FOLDERS:
            os.chown(run.path / path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
        for folder in SHARED_FOLDERS:
            os.chown(run.path / folder, -1, owner.pw_gid)
            (run.path / folder).chmod(SHARED_MODE)


def adopt(run: RunDir, root: Path) -> None:
    """Have Nginx and supervisord read the files of the kit in `root`, each from its next start or reload on."""
    run.write({copy: (root / source).read_text(encoding="utf-8") for copy, source in COPIES.items()})
    for name, target in LINKS.items():
        link, draft = run.path / name, run.path / f"{name}.new"
        draft.unlink(missing_ok=True)
        draft.symlink_to(root / target)
        draft.replace(link)


def kit_in(run: RunDir) -> Path:
    """Return the folder of the kit that `adopt` was last called with."""
    name = "supervisord.conf"
    return Path(os.readlink(run.path / name).removesuffix(f"/{LINKS[name]}"))


def kit_of(text: str) -> Path:
    """Return the folder that the file KIT with this text names."""
    return Path(text.splitlines()[0])


def remove_caches(run: RunDir, workers: Iterable[str]) -> None:
    """Remove what `workers` kept for their next start; a link that their account has put there leads nowhere."""
    with suppress(OSError):
        folder = os.open(run.path / CACHE, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        for worker in workers:
            shutil.rmtree(worker, ignore_errors=True, dir_fd=folder)
        os.close(folder)
