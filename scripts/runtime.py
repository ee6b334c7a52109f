"""Which runtime serves: the one asked for, the one that runs already, or the best that this machine has."""

from types import ModuleType
from typing import Protocol, cast

from scripts import compose, docker, local
from scripts.refusal import Refusal
from scripts.rundir import RUNTIMES, RunDir
from scripts.site import Site


class Runtime(Protocol):
    """What every runtime does; modules fit it."""

    def up(self, site: Site) -> None: ...
    def down(self, run: RunDir) -> None: ...
    def rollout(self, site: Site) -> None: ...
    def follow_logs(self, run: RunDir, lines: int, follow: bool) -> None: ...


MODULES: dict[str, ModuleType] = dict(zip(RUNTIMES, (local, compose), strict=True))


def choose(wanted: str, run: RunDir) -> Runtime:
    """The runtime named `wanted`; for "" the one that serves from `run`, else compose where Docker answers, else local.

    Raises Refusal for an unknown name, and for another runtime than the one that serves from `run`.
    """
    if wanted and wanted not in RUNTIMES:
        raise Refusal(f"RUNTIME: found {wanted!r}, needed one of {', '.join(RUNTIMES)}")
    serving = run.runtime
    if wanted and serving and wanted != serving:
        raise Refusal(
            f"{run.path}: found the runtime {serving} serving from here, asked for was {wanted}: "
            "run `make down` first, or give another RUN_DIR="
        )
    name = wanted or serving or ("local" if docker.engine_fault() else "compose")
    return cast(Runtime, MODULES[name])
