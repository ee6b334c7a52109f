"""Choose the account for the processes, and find the command that starts them under it without further rights."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.base.programs import search_path

ACCOUNT = "wanwu"
CONFINE = Path(__file__).with_name("confine.py")
UNPRIVILEGED_PORT = 1024  # the first that every account may listen on, ip_unprivileged_port_start of ip(7)
PROCESSES_A_WORKER = 1024  # and threads, of the account in all; ten times what a worker was seen to have
OPEN_FILES = 16384  # of each process; Nginx's may have 2,048 connections, the gate one a worker


def service_account() -> pwd.struct_passwd:
    """Return the caller's account; for root, ACCOUNT, which is created first if there is none. Raise CommandError."""
    caller = pwd.getpwuid(os.geteuid())
    if caller.pw_uid != 0:
        return caller
    try:
        return pwd.getpwnam(ACCOUNT)
    except KeyError:
        return _create_account()


def _create_account() -> pwd.struct_passwd:
    useradd = shutil.which("useradd", path=search_path()) or "useradd"
    home = ("--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin")
    try:
        result = subprocess.run([useradd, "--system", "--user-group", *home, ACCOUNT], capture_output=True, text=True)
        fault = result.stderr.strip() if result.returncode else ""
    except OSError as error:
        fault = f"{useradd}: {error.strerror}"
    try:
        return pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise CommandError(
            f"found no account {ACCOUNT} and could not create it ({fault}), needed one under which workers and the "
            "gateway run: create it as a system account, or start the service as another account than root"
        ) from None


def prefix(account: pwd.struct_passwd, visible: Iterable[Path], ports: Collection[int], workers: int) -> list[str]:
    """Return the start of a command line that runs its rest as `account`, without a way to more rights.

    For root, processes and open files are limited for as many `workers`, and the account sees the folders `visible`
    even below folders that are closed to it, such as /root.
    """
    setpriv = ["setpriv", "--no-new-privs"]
    if os.geteuid() != 0:
        return setpriv
    setpriv += _entering(account.pw_uid, account.pw_gid)
    if min(ports) < UNPRIVILEGED_PORT:
        setpriv += ["--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service"]
    limits = ["prlimit", f"--nproc={process_limit(workers)}", f"--nofile={OPEN_FILES}"]
    return [*_confine(account, visible), "--", *limits, *setpriv]


def as_owner(folder: Path) -> list[str]:
    """Return the start of a command line that lets root run its rest with no more rights than the folder's owner."""
    status = folder.stat(follow_symlinks=False)
    return ["setpriv", *_entering(status.st_uid, status.st_gid)] if os.geteuid() == 0 else []


def _entering(uid: int, gid: int) -> list[str]:
    return [f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]


def process_limit(workers: int) -> int:
    """Return how many processes and threads a service with as many `workers` may have, while others replace them."""
    return PROCESSES_A_WORKER * (2 * workers + 1)


def show(account: pwd.struct_passwd, visible: Iterable[Path], pid: int) -> None:
    """Let the process `pid`, which `prefix` started as root, and those that it starts see more folders.

    Raise CommandError if that fails.
    """
    result = subprocess.run([*_confine(account, visible), "--in", str(pid)], capture_output=True, text=True)
    if result.returncode:
        raise CommandError(
            f"{result.stderr.strip()}: put it where every account may enter, or run `make down` and `make up`"
        )


def _confine(account: pwd.struct_passwd, visible: Iterable[Path]) -> list[str]:
    """Return the start of the command line of confine.py, up to what it is asked to do."""
    folders = map(str, sorted(set(visible)))
    return [sys.executable, "-I", str(CONFINE), str(account.pw_uid), str(account.pw_gid), *folders]


def check_access(start: Sequence[str], python: Path, readable: Iterable[Path], directory: Path) -> None:
    """Raise CommandError if a process started by `start` cannot run `python`, read `readable` or enter `directory`.

    It is tried: file modes alone do not tell what the kernel allows.
    """
    check = "import gunicorn, os, sys; os.chdir(sys.argv[1]); [open(path).close() for path in sys.argv[2:]]"
    command: list[str | Path] = [*start, python, "-I", "-c", check, directory, *readable]
    result = subprocess.run(command, capture_output=True, text=True, env={"PATH": search_path()})
    if result.returncode:
        reason = (result.stderr.strip() or f"exit status {result.returncode}").splitlines()[-1]
        raise CommandError(
            f"the account of the service cannot use what it needs: found {reason}, needed files that it can read: "
            "`chmod -R o+rX` on that path, or move this folder to /opt or /srv"
        )
