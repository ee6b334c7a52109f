"""The interface of all runtimes. Commands use only this interface and find the runtimes in `choice.RUNTIMES`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, Protocol

from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster
from scripts.host import docker
from scripts.host.updates import Update
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.request_lines import Line
from scripts.runtimes.run_directory import RunDir

# Name of a check of `make doctor` -> function that returns its finding or raises CommandError.
Checks = Mapping[str, Callable[[], str]]
Updates = Mapping[str, Callable[[], list[Update]]]


class Observability(Protocol):
    """Prometheus, and Grafana where it can be had, beside a service: a module of each runtime."""

    def is_on(self, run: RunDir) -> bool:
        """Return whether they were started for the service in `run`."""

    def prepare(self, cluster: Cluster, run: RunDir) -> None:
        """Install or build what Prometheus needs, before the service is started; raise CommandError if it cannot."""

    def start(self, cluster: Cluster, run: RunDir) -> str:
        """Start them, or again if they changed; return why there is no Grafana, or ""."""

    def stop(self, run: RunDir) -> None:
        """End them, if they were started, and remove what they kept."""


class Runtime(ABC):
    """A way to run a cluster's workers and gateways. Every method raises CommandError, with a remedy, if it fails."""

    name: ClassVar[str]
    observability: Observability

    @abstractmethod
    def suits(self, servers: int) -> bool:
        """Return whether this machine can serve a cluster of `servers` servers with this runtime."""

    @abstractmethod
    def plan(self, cluster: Cluster, run: RunDir) -> Deployment:
        """Return the deployment that `up` would start, without changing anything."""

    @abstractmethod
    def up(self, cluster: Cluster, run: RunDir, *, force: bool = False, boot: bool = True) -> Deployment:
        """Have everything run that `cluster` describes; return once every worker is in rotation.

        What runs already is changed without losing a request; `force` allows to stop what cannot be changed so. With
        `boot`, the service starts with this machine from now on, where that is possible.
        """

    @abstractmethod
    def after_reboot(self, run: RunDir) -> str:
        """Return a line that says what a reboot does to the service in `run`."""

    def keep(self, deployment: Deployment) -> None:  # noqa: B027 - Docker starts what it ran
        """If the service starts with this machine, let that be `deployment` from now on."""

    @abstractmethod
    def down(self, run: RunDir) -> None:
        """Stop everything, after the requests in flight have been answered."""

    @abstractmethod
    def rollout(self, cluster: Cluster, run: RunDir, *, force: bool = False) -> None:
        """Replace the workers one at a time without losing a request; `force` means what it does to `up`."""

    @abstractmethod
    def updates(self, cluster: Cluster, run: RunDir) -> Updates:
        """Return where Debian's packages serve this cluster, and what finds their security updates there."""

    @abstractmethod
    def apply_updates(self, cluster: Cluster, run: RunDir) -> None:
        """Have a running service go over to Debian's packages with their updates, one worker at a time."""

    @abstractmethod
    def show_status(self, cluster: Cluster, run: RunDir) -> None:
        """Print every slot, its worker and its state."""

    @abstractmethod
    def follow_logs(self, run: RunDir, lines: int, follow: bool) -> None:
        """Show the last `lines` lines of every log and, if `follow` is true, what is appended to them."""

    @abstractmethod
    def log_lines(self, run: RunDir) -> Iterator[Line]:
        """Yield every line of every log that is kept, the oldest of each log first."""

    @abstractmethod
    def publish_keys(self, cluster: Cluster, run: RunDir) -> None:
        """Have the service that runs from `run` know the keys of `cluster`, without losing a request."""

    @abstractmethod
    def is_running(self, run: RunDir) -> bool:
        """Return whether a service runs from `run`."""

    def check_choice(self) -> str:
        """Return the line of `make doctor` about this runtime; raise CommandError if it cannot run anything."""
        if fault := docker.engine_fault():
            raise CommandError(fault)
        return f"`make up` uses the {self.name} runtime"

    def checks(self, run: RunDir, deployment: Deployment | None) -> Checks:
        """Return this runtime's own checks for `make doctor`; `deployment` is None if the cluster cannot be planned."""
        return {}

    @abstractmethod
    def rollback(self, cluster: Cluster, run: RunDir, *, force: bool = False) -> None:
        """Restore what ran before the last change; `force` means what it does to `up`."""

    def drain(self, cluster: Cluster, run: RunDir, server: str) -> None:
        """Stop everything on `server`, so that it can be removed."""
        raise needs_swarm("drain")


def needs_swarm(command: str) -> CommandError:
    """Return the error for a command that runtimes on one machine do not support."""
    return CommandError(f"`make {command}` for several servers needs the swarm runtime: run it on a swarm manager")
