"""The state of a swarm as its managers keep it: services, networks, secrets, members and their certificates."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.base.waiting import wait_until
from scripts.bootstrap import engine, places
from scripts.bootstrap.machine import ask, must, swarm_state
from scripts.bootstrap.record import Record

QUIET_S = 60  # until Docker writes nothing for as long as a copy takes
POLL_INTERVAL_S = 0.5


def folder() -> Path:
    """Return the folder in which this server's Docker keeps the state."""
    return Path(ask("docker", "info", "--format", "{{.DockerRootDir}}")) / "swarm"


def copy(source: Path, target: Path) -> None:
    """Copy the state while Docker runs, as it was at one moment; raise CommandError if it never rests."""

    def is_copied() -> bool:
        shutil.rmtree(target, ignore_errors=True)
        before = list(_stamps(source))
        try:
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.sock"))
        except (OSError, shutil.Error):  # a file has gone meanwhile
            return False
        return before == list(_stamps(source))

    if not wait_until(is_copied, QUIET_S, POLL_INTERVAL_S):
        raise CommandError(
            f"{source}: found it changing for {QUIET_S} seconds, needed a moment without changes: "
            "see `docker service ps` for tasks that start again and again, and run this again"
        )


def restore(source: Path, address: str) -> None:
    """Make this server the one manager of the swarm whose state is in `source`, at `address` or its only one.

    Raise CommandError if Docker does not take it, and put back what there was before.
    """
    state, record = folder(), Record(places.RECORD)
    aside = state.with_name("swarm.before-restore")
    engine.stop()
    shutil.rmtree(aside, ignore_errors=True)
    if state.exists():
        state.rename(aside)
    shutil.copytree(source, state)
    record.remember("swarm")
    engine.start(record)
    advertise = ("--advertise-addr", address) if address else ()
    try:
        fault = (
            "Docker did not take the swarm's state ({}): if the server has several addresses, choose one with ADDRESS="
        )
        must(fault, "docker", "swarm", "init", "--force-new-cluster", *advertise)
    except CommandError:
        engine.stop()
        shutil.rmtree(state, ignore_errors=True)
        if aside.exists():
            aside.rename(state)
        engine.start(record)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def require_no_swarm() -> None:
    """Raise CommandError if this server is in a swarm."""
    if swarm_state() not in ("inactive", ""):
        raise CommandError(
            "found a server that is in a swarm, needed one that is in none: while more than half of the managers run, "
            "they keep the state; else, on this server, `docker swarm leave --force` first"
        )


def _stamps(source: Path) -> Iterator[tuple[str, int, int]]:
    for path in sorted(source.rglob("*")):
        if path.is_file():
            found = path.stat()
            yield str(path), found.st_size, found.st_mtime_ns
