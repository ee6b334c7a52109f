"""The interface of all runtimes. Commands use only this interface and find the runtimes in `choice.RUNTIMES`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Protocol

from scripts.base.console import warn
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.base.waiting import wait_until
from scripts.cluster.config import Cluster
from scripts.cluster.keys import gate_keys, keys_locked, own_key, read_keys
from scripts.host import certificates, docker
from scripts.host.updates import Update
from scripts.runtimes import status
from scripts.runtimes.change import Member, Members, read_members
from scripts.runtimes.deployment import Deployment, name_workers, plan_here
from scripts.runtimes.request_lines import Line
from scripts.runtimes.run_directory import RunDir

# Name of a check of `make doctor` -> function that returns its finding or raises CommandError.
Checks = Mapping[str, Callable[[], str]]
Updates = Mapping[str, Callable[[], list[Update]]]
KEYS_TIMEOUT_S = 10  # until the gateway knows a changed list of keys; it takes one or two


@dataclass(frozen=True)
class State:
    """A service as it runs or is to run: its cluster file, its rendered files but for secrets, and its workers."""

    cluster: Cluster
    files: Mapping[str, str]
    members: Members


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

    def side_by_side(self) -> "SideBySide":
        """Return this runtime if a slot can run workers of two models at once; raise CommandError if it cannot."""
        raise CommandError(
            f"under {self.name.title()} each slot has room for only one worker: keep the model's name in the "
            "cluster file, change its folder and run `make up`, which replaces its workers one at a time, without "
            "losing a request"
        )


class SideBySide(Runtime):
    """A runtime on one machine, where a slot has room for an old worker and the new one that replaces it."""

    members: ClassVar[str]  # the gate's list of workers: its path within the run directory
    keys: ClassVar[str]  # the gate's list of keys, beside it

    def plan(self, cluster: Cluster, run: RunDir) -> Deployment:
        return self.place(name_workers(plan_here(cluster, run), self.listed(run)))

    def place(self, deployment: Deployment, taken: Members = MappingProxyType({})) -> Deployment:
        """Return `deployment` with what its workers need to be reached, such as ports; leave those of `taken` alone."""
        return deployment

    def listed(self, run: RunDir) -> dict[str, Member]:
        """Return the workers that the gate's list in `run` has; none if there is no list."""
        return read_members(run.text(self.members), {})

    def secrets(self, cluster: Cluster) -> dict[str, str]:
        """Return path -> text for the files of the gateway that may change alone and are never brought back."""
        return {self.keys: gate_keys(cluster), **certificates.served(cluster)}

    def show_status(self, cluster: Cluster, run: RunDir) -> None:
        if len(cluster.servers) > 1:
            raise needs_swarm("status")
        status.print_status(cluster.endpoint, [*self.faults(run), *certificates.faults(cluster)], own_key(cluster))

    def write_secrets(self, cluster: Cluster, run: RunDir) -> bool:
        """Write the files of `secrets`; return whether any was another."""
        return self._write_held(cluster, run, lambda: self.secrets(cluster))

    def _write_held(self, cluster: Cluster, run: RunDir, read: Callable[[], dict[str, str]]) -> bool:
        """Write what `read` returns; meanwhile no key is revoked, which would be written as if it were not."""
        with keys_locked(cluster.folder):
            files = read()
            if run.has_files(files):
                return False
            run.write(files)
            self.open_to_gateway(run)
            return True

    def open_to_gateway(self, run: RunDir) -> None:
        """Let the gateway read the files in `run`, where the umask here may lock it out."""

    def publish_keys(self, cluster: Cluster, run: RunDir) -> None:
        self._write_held(cluster, run, lambda: {self.keys: gate_keys(cluster)})
        url, known = f"{cluster.endpoint}/status", sorted(key.id for key in read_keys(cluster))
        if not wait_until(lambda: get(url, key=own_key(cluster))[1].get("keys") == known, KEYS_TIMEOUT_S):
            warn("the gateway does not say that it knows the change: run `make up` if [access] is new; see `make logs`")

    def faults(self, run: RunDir) -> list[str]:
        """Return a line for each fault of the service in `run` that the gateway cannot know."""
        return []

    def side_by_side(self) -> "SideBySide":
        return self

    def require_running(self, run: RunDir) -> None:
        """Raise CommandError unless a service runs from `run`."""
        if not self.is_running(run):
            raise CommandError("nothing is running here: run `make up` first")

    @abstractmethod
    def build_artifacts(self, deployment: Deployment) -> None:
        """Create the missing environments or images that the processes of `deployment` need."""

    @abstractmethod
    def render(self, deployment: Deployment) -> dict[str, str]:
        """Return path -> text for the files in the run directory of `deployment` but for its secrets."""

    @abstractmethod
    def running_files(self, run: RunDir, paths: Iterable[str]) -> dict[str, str]:
        """Return path -> text for the files `paths` of what runs in `run`, which another kit may have started."""

    @abstractmethod
    def worker_definitions(self, files: Mapping[str, str]) -> dict[str, str]:
        """Return worker -> the text in `files` by which it is started; any change of it needs a new process."""

    @abstractmethod
    def worker_files(self, files: Mapping[str, str], definitions: Mapping[str, str]) -> dict[str, str]:
        """Return those of `files` that list workers, with exactly those that `definitions` start."""

    @abstractmethod
    def workers(self, run: RunDir) -> set[str]:
        """Return the workers that have a process or container, whatever its state."""

    @abstractmethod
    def start(self, run: RunDir, worker: str) -> None:
        """Start one more worker, which the rendered files already list; those that serve go before it."""

    def promote(self, run: RunDir, worker: str) -> None:
        """Let a worker that is ready have as much processor time as those beside it, if `start` gave it less."""

    @abstractmethod
    def remove(self, run: RunDir, workers: Iterable[str]) -> None:
        """Stop and forget `workers`, after they have answered their requests in flight."""

    @abstractmethod
    def watch(self, run: RunDir, workers: Collection[str]) -> Callable[[], None]:
        """Return a function that raises CommandError, with the end of the log, if a process of `workers` has ended."""

    @abstractmethod
    def gateway(self, run: RunDir) -> dict[int, str]:
        """Return process id -> title for Nginx's worker processes."""

    @abstractmethod
    def switch_gateway(self, run: RunDir, files: Mapping[str, str]) -> None:
        """Write those of `files` that list no workers' processes, and have the gateway go by them.

        Raise CommandError if it refuses them; it then goes by the former ones.
        """

    def interruptions(self, files: Mapping[str, str], after: State) -> list[str]:
        """Return a line for each change from `files`, which run, to `after` that stops the service for a moment."""
        return []

    def unrestorable(self, files: Mapping[str, str]) -> list[str]:
        """Return a line for each thing besides models that `files`, which ran before, need and that is gone."""
        return []

    @abstractmethod
    def restart(self, run: RunDir, before: State, after: State) -> None:
        """Stop everything and start `after`; if that fails start `before` again, and raise CommandError."""


def needs_swarm(command: str) -> CommandError:
    """Return the error for a command that runtimes on one machine do not support."""
    return CommandError(f"`make {command}` for several servers needs the swarm runtime: run it on a swarm manager")
