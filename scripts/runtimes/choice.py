"""Which runtime serves: the one asked for, the one that runs already, or the best that this machine has."""

from collections.abc import Collection, Iterable
from types import ModuleType
from typing import Protocol, cast

from scripts.base.errors import Refusal
from scripts.cluster.config import Cluster
from scripts.host import docker
from scripts.runtimes import deployment as site
from scripts.runtimes.compose import runtime as compose
from scripts.runtimes.deployment import Site
from scripts.runtimes.local import runtime as local
from scripts.runtimes.run_directory import RUNTIMES, RunDir
from scripts.runtimes.swarm import deployment as swarm_site
from scripts.runtimes.swarm import runtime as swarm


class Service(Protocol):
    """What every runtime does; modules fit it."""

    def up(self, site: Site) -> None: ...
    def down(self, run: RunDir) -> None: ...
    def rollout(self, site: Site) -> None: ...
    def follow_logs(self, run: RunDir, lines: int, follow: bool) -> None: ...
    def is_running(self, run: RunDir) -> bool: ...


class Runtime(Service, Protocol):
    """What a runtime does besides where workers can stand beside one another, as scripts.swap has them."""

    MEMBERS: str  # where the gate's list of workers lies in the run directory

    def build(self, site: Site) -> None: ...
    def rendered(self, site: Site) -> dict[str, str]: ...
    def start(self, run: RunDir, worker: str) -> None: ...
    def remove(self, run: RunDir, workers: Iterable[str]) -> None: ...
    def wait(self, site: Site, workers: Collection[str] = ()) -> None: ...
    def gateway(self, run: RunDir) -> dict[int, str]: ...


MODULES: dict[str, ModuleType] = dict(zip(RUNTIMES, (local, compose, swarm), strict=True))


def choose(wanted: str, run: RunDir, servers: int = 1) -> Runtime:
    """The runtime named `wanted`; for "" the one that serves from `run`, else the best that this machine has.

    That is swarm for several `servers` on a manager of a swarm, compose where Docker answers, else local. Raises
    Refusal for an unknown name, and for another runtime than the one that serves from `run`.
    """
    if wanted and wanted not in RUNTIMES:
        raise Refusal(f"RUNTIME: found {wanted!r}, needed one of {', '.join(RUNTIMES)}")
    serving = run.runtime
    if wanted and serving and wanted != serving:
        raise Refusal(
            f"{run.path}: found the runtime {serving} serving from here, asked for was {wanted}: "
            "run `make down` first, or give another RUN_DIR="
        )
    return cast(Runtime, MODULES[wanted or serving or _best(servers)])


def plan(runtime: Service, cluster: Cluster, run: RunDir) -> Site:
    """`cluster` planned as the runtime needs it: for this machine, or for the servers of the swarm; raises Refusal."""
    return swarm_site.prepare(cluster, run) if runtime is MODULES["swarm"] else site.prepare(cluster, run)


def _best(servers: int) -> str:
    if servers > 1 and docker.is_swarm_manager():
        return "swarm"
    return "local" if docker.engine_fault() else "compose"


def require_swarm(runtime: Service, command: str) -> None:
    """Raise Refusal for a command that only the swarm runtime has."""
    if runtime is not MODULES["swarm"]:
        raise Refusal(f"`make {command}` of several servers needs the swarm runtime: run it on a manager of the swarm")


def refuse_swarm(runtime: Service) -> None:
    """Raise Refusal where a slot has room for one worker, and none can come in beside another."""
    if runtime is MODULES["swarm"]:
        raise Refusal(
            "under Swarm each slot has room for one worker: keep the model's name in the cluster's file, give it the "
            "other folder, and `make up`: its workers go over one at a time, losing no request"
        )
