"""What every runtime does. Commands know a runtime by this alone, and find it in `choice.RUNTIMES`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import ClassVar

from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster
from scripts.host import docker
from scripts.runtimes import status
from scripts.runtimes.deployment import Deployment, plan_here
from scripts.runtimes.run_directory import RunDir

Checks = Mapping[
    str, Callable[[], str]
]  # what `make doctor` looks at: each returns what it found, or raises CommandError


class Runtime(ABC):
    """How the workers and gateways of a cluster are run. All methods raise CommandError with what to do."""

    name: ClassVar[str]

    @abstractmethod
    def suits(self, servers: int) -> bool:
        """Tell whether this machine can serve so many servers by this runtime."""

    @abstractmethod
    def plan(self, cluster: Cluster, run: RunDir) -> Deployment:
        """Return what `up` would start; change nothing."""

    @abstractmethod
    def up(self, cluster: Cluster, run: RunDir) -> Deployment:
        """Bring everything up as the cluster says; return once every worker is in rotation."""

    @abstractmethod
    def down(self, run: RunDir) -> None:
        """Stop everything; what is in flight is answered first."""

    @abstractmethod
    def rollout(self, cluster: Cluster, run: RunDir) -> None:
        """Replace the workers one at a time, losing no request."""

    @abstractmethod
    def show_status(self, cluster: Cluster, run: RunDir) -> None:
        """Print every slot, its worker and its state."""

    @abstractmethod
    def follow_logs(self, run: RunDir, lines: int, follow: bool) -> None:
        """Show the end of every log, and with `follow` all that comes after."""

    @abstractmethod
    def is_running(self, run: RunDir) -> bool:
        """Tell whether a service runs from `run`."""

    def check_choice(self) -> str:
        """Return what `make doctor` says of choosing this runtime; raise CommandError where it cannot run anything."""
        if fault := docker.engine_fault():
            raise CommandError(fault)
        return f"`make up` takes the {self.name} runtime"

    def checks(self, run: RunDir, deployment: Deployment | None) -> Checks:
        """Return what `make doctor` looks at besides; `deployment` is None where the cluster cannot be planned."""
        return {}

    def rollback(self, cluster: Cluster, run: RunDir) -> None:
        """Bring back what served before the last change."""
        raise needs_swarm("rollback")

    def drain(self, cluster: Cluster, run: RunDir, server: str) -> None:
        """Stop what runs on `server`, so that it may be taken away."""
        raise needs_swarm("drain")

    def side_by_side(self) -> "SideBySide":
        """Return this runtime, if workers of two models can run beside each other on a slot."""
        raise CommandError(
            f"under {self.name.title()} each slot has room for one worker: keep the model's name in the cluster's "
            "file, give it the other folder, and `make up`: its workers go over one at a time, losing no request"
        )


class SideBySide(Runtime):
    """A runtime on one machine, whose slots have room for a new worker beside the old one while it takes over."""

    members: ClassVar[str]  # where the gate's list of workers lies in the run directory

    def plan(self, cluster: Cluster, run: RunDir) -> Deployment:
        return plan_here(cluster, run)

    def show_status(self, cluster: Cluster, run: RunDir) -> None:
        if len(cluster.servers) > 1:
            raise needs_swarm("status")
        status.print_status(cluster.port, self.faults(run))

    def faults(self, run: RunDir) -> list[str]:
        """Return a line for each thing that is wrong with what runs from `run`, beyond what the gateway knows."""
        return []

    def side_by_side(self) -> "SideBySide":
        return self

    @abstractmethod
    def build_artifacts(self, deployment: Deployment) -> None:
        """Make the environments or images that the processes of `deployment` run in, where they are missing."""

    @abstractmethod
    def render(self, deployment: Deployment) -> dict[str, str]:
        """Return what lies in the run directory of `deployment`: path to text. Make nothing."""

    @abstractmethod
    def start(self, run: RunDir, worker: str) -> None:
        """Start one worker more, which the rendered files have already."""

    @abstractmethod
    def remove(self, run: RunDir, workers: Iterable[str]) -> None:
        """Stop the workers, which answer what they have first, and forget them."""

    @abstractmethod
    def wait(self, deployment: Deployment, workers: Collection[str] = ()) -> None:
        """Return once `workers`, or all of the plan, are in rotation."""

    @abstractmethod
    def gateway(self, run: RunDir) -> dict[int, str]:
        """Return the processes that Nginx answers with: the title of each, by process id."""


def needs_swarm(command: str) -> CommandError:
    """Return the refusal of a command that one machine's runtimes do not have."""
    return CommandError(
        f"`make {command}` of several servers needs the swarm runtime: run it on a manager of the swarm"
    )
