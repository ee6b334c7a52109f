"""Which runtime serves: the one requested, the one that runs already, or the best that this machine has."""

from pathlib import Path

from scripts.base.errors import CommandError
from scripts.cluster.config import load_cluster
from scripts.runtimes.compose.runtime import ComposeRuntime
from scripts.runtimes.local.runtime import LocalRuntime
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.runtime import Runtime
from scripts.runtimes.swarm.runtime import SwarmRuntime

# Every runtime by its name; of those that suit a machine the last is chosen.
RUNTIMES: dict[str, Runtime] = {
    runtime.name: runtime for runtime in (LocalRuntime(), ComposeRuntime(), SwarmRuntime())
}  # fmt: skip


def choose(wanted: str, run: RunDir, servers: int = 1) -> Runtime:
    """Return the runtime named `wanted`; for "" the one that serves from `run`, else the best for so many `servers`.

    Raise CommandError for an unknown name, and for another runtime than the one that serves from `run`.
    """
    if wanted and wanted not in RUNTIMES:
        raise CommandError(f"RUNTIME: found {wanted!r}, needed one of {', '.join(RUNTIMES)}")
    serving = run.runtime
    if wanted and serving and wanted != serving:
        raise CommandError(
            f"{run.path}: found the runtime {serving} serving from here, asked for was {wanted}: "
            "run `make down` first, or give another RUN_DIR="
        )
    if name := wanted or serving:
        return RUNTIMES[name]
    return next(runtime for runtime in reversed(RUNTIMES.values()) if runtime.suits(servers))


def count_servers(file: Path) -> int:
    """Return how many servers the cluster's file has; 1 for a file with faults, so that a service can be stopped."""
    try:
        return len(load_cluster(file).servers)
    except CommandError:
        return 1
