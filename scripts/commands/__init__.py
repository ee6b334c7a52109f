"""Define and find the commands: every module of this folder is one, named after its file.

`model_add.py` is `python3 -m scripts model-add`. A module declares `COMMAND`, and only the module of the command that
runs is imported.
"""

import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from scripts.base.http import trust
from scripts.base.lock import exclusive
from scripts.base.options import Flag
from scripts.cluster.config import ROOT, Cluster, load_cluster
from scripts.host.certificates import known_certificates
from scripts.runtimes.history import recorded
from scripts.runtimes.run_directory import RunDir

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

OptionsT = TypeVar("OptionsT", bound="DataclassInstance")


@dataclass(frozen=True)
class ServiceOptions:
    """The options that every command takes: which service it acts on."""

    cluster: Annotated[Path, Flag("the cluster file")] = ROOT / "compose/cluster.toml"
    run_dir: Annotated[Path, Flag("the directory where the service writes")] = ROOT / "run"
    runtime: Annotated[str, Flag("local, compose or swarm (default: the best one for this machine)")] = ""

    @property
    def lock(self) -> Path:
        """Return the path of the lock file of the commands that change this service."""
        return self.run.path.with_name(f"{self.run.path.name}.lock")

    @property
    def run(self) -> RunDir:
        """Return the run directory, which may be one that no service can use."""
        return RunDir(self.run_dir.resolve())

    @contextmanager
    def change(self, command: str) -> Iterator[None]:
        """Let `command` alone change this service in the body, and record it; raise CommandError if another does."""
        with exclusive(self.lock, command), recorded(self.run, command):
            yield

    def load_cluster(self) -> Cluster:
        """Return the cluster that the file describes; raise CommandError with a line for every fault."""
        cluster = load_cluster(self.cluster)
        if cluster.tls.enabled:
            trust(known_certificates(cluster.tls, self.run_dir))
        return cluster


@dataclass(frozen=True)
class NoOptions:
    """The options of a command that has none of its own."""


@dataclass(frozen=True)
class ForceOptions:
    """What a command that changes a service may do."""

    force: Annotated[bool, Flag("stop for a moment what cannot be changed while it serves")] = False


@dataclass(frozen=True)
class Command(Generic[OptionsT]):
    """One command: its help text, its own options, and its function, which raises CommandError.

    Of those that change a service (`exclusive`), one at a time may run. One that changes it by some of its options
    alone calls `ServiceOptions.change` itself. Keys have a lock of their own: revoking one waits for nothing.
    """

    help: str
    options: type[OptionsT]
    run: Callable[[ServiceOptions, OptionsT], None]
    exclusive: bool = False


def names() -> list[str]:
    """Return the names of all commands, sorted."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Command[Any]:
    """Return the command called `name`."""
    command: Command[Any] = import_module(f"{__name__}.{name.replace('-', '_')}").COMMAND
    return command
