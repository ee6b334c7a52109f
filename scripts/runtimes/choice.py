"""Choose the runtime: the requested one, the one that serves already, or the best for this machine."""

from pathlib import Path

from scripts.base.errors import CommandError
from scripts.cluster.config import load_cluster
from scripts.runtimes.compose.runtime import ComposeRuntime
from scripts.runtimes.local.runtime import LocalRuntime
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.runtime import Runtime
from scripts.runtimes.swarm.runtime import SwarmRuntime

# Runtime name -> runtime. Of those that suit a machine, the last is chosen.
RUNTIMES: dict[str, Runtime] = {
    runtime.name: runtime for runtime in (LocalRuntime(), ComposeRuntime(), SwarmRuntime())
}  # fmt: skip


def choose(requested: str, run: RunDir, servers: int = 1) -> Runtime:
    """Return the runtime named `requested`; if that is "", the one that serves from `run`, or the best for `servers`.

    Raise CommandError if the name is unknown, or if another runtime serves from `run`.
    """
    if requested and requested not in RUNTIMES:
        raise CommandError(f"RUNTIME: found {requested!r}, needed one of {', '.join(RUNTIMES)}")
    active = run.runtime
    if requested and active and requested != active:
        raise CommandError(
            f"{run.path}: found the {active} runtime running here, needed {requested}: "
            "run `make down` first, or set another RUN_DIR="
        )
    if name := requested or active:
        return RUNTIMES[name]
    return next(runtime for runtime in reversed(RUNTIMES.values()) if runtime.suits(servers))


def count_servers(file: Path) -> int:
    """Return the number of servers in the cluster file; 1 if it has faults, so that a service can still be stopped."""
    try:
        return len(load_cluster(file).servers)
    except CommandError:
        return 1
