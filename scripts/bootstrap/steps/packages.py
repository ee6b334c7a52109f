"""Install the bundle's packages that this server lacks, Docker among them."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.bootstrap import engine, places
from scripts.bootstrap.apt import Repository, dpkg, is_known
from scripts.bootstrap.executor import Change, Step
from scripts.bootstrap.machine import reason, run, succeeds, text_of
from scripts.bootstrap.record import Record
from scripts.bootstrap.server import Server
from scripts.host.packages import is_locked
from worker.contract.files import write_atomically

# What dpkg, this script and Docker keep account of themselves.
LEFT_OUT = ("/var/lib/dpkg", str(places.KEPT), "/var/lib/docker", "/var/lib/containerd")


def changes(server: Server) -> Iterator[Change]:
    if names := server.packages.wanted:
        yield Change(f"install {' '.join(names)} and their dependencies", lambda: _install(server))


def _install(server: Server) -> None:
    record, packages = server.record, server.packages
    # Undone backwards: what is recorded here is removed after Docker has stopped and the packages are gone.
    if packages.engine:
        for path in places.DOCKER_TREES:
            _remember_absent(record, "tree", path)
        for path in places.DOCKER_FOLDERS:
            _remember_absent(record, "dir", path)
    if packages.incoming:
        record.remember("packages", " ".join(packages.incoming))
    engine.remember(record)
    if not places.BEFORE.exists():
        _write(places.BEFORE, _snapshot())
    dpkg("--configure", "-a")  # after a killed run; the next line installs what is still missing
    if packages.folder:
        Repository(packages.folder, server.work / "apt").install(*packages.wanted)
    _write(places.BROUGHT, _snapshot() - set(text_of(places.BEFORE).splitlines()))
    if packages.engine:
        places.RESTART.touch()  # a running Docker is still the old version


def _remember_absent(record: Record, kind: str, path: Path) -> None:
    if not path.exists():
        record.remember(kind, path)


def _write(path: Path, lines: set[str]) -> None:
    write_atomically(path, "".join(f"{line}\n" for line in sorted(lines)))


def _snapshot() -> set[str]:
    """Return what packages' scripts may create without dpkg knowing: accounts, groups, and files outside /usr."""
    names = re.compile(r"^([^:]+):", re.MULTILINE)
    lines = {f"group {name}" for name in names.findall(text_of("/etc/group"))}
    lines |= {f"user {name}" for name in names.findall(text_of("/etc/passwd"))}
    pruned = [word for path in LEFT_OUT for word in ("-path", path, "-o")][:-1]
    found = run("find", "/etc", "/root", "/var", "-xdev", "(", *pruned, ")", "-prune", "-o", "-print")
    # A name that is no UTF-8 is none of a package's.
    return lines | {f"path {path}" for path in found.stdout.splitlines() if path.isprintable()}


def _undo(record: Record, _: str) -> None:
    """Purge all at once, also those of other runs: they depend on one another."""
    names = [name for line in record.of("packages") for name in line.split() if is_known(name)]
    if "docker.io" in names:
        engine.stop()
    if names:
        dpkg("--configure", "-a")
        done = dpkg("--purge", *names)
        if done.returncode and is_locked(done):
            raise CommandError(
                f"found dpkg locked for too long ({reason(done)}): "
                "stop the process that holds the lock, then run --uninstall again"
            )
        if done.returncode:
            step(f"some packages could not be removed, since others depend on them: {reason(done)}")
    for line in sorted(text_of(places.BROUGHT).splitlines(), reverse=True):
        _remove(*line.split(" ", 1))


def _remove(kind: str, what: str) -> None:
    """Remove what a package's scripts brought: an account, a group, a file, or a folder that is empty."""
    if kind == "user" and succeeds("getent", "passwd", what):
        run("userdel", what)
    elif kind == "group" and succeeds("getent", "group", what):
        run("groupdel", what)
    elif kind == "path":
        with suppress(OSError):
            Path(what).rmdir() if os.path.isdir(what) and not os.path.islink(what) else Path(what).unlink()


STEP = Step(changes, {"packages": _undo, "docker": engine.undo})
