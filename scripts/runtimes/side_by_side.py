"""The interface of the runtimes on one machine, where a slot has room for an old worker and its successor."""

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from scripts.base.console import warn
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.base.waiting import wait_until
from scripts.cluster.config import Cluster
from scripts.cluster.keys import gate_keys, keys_locked, own_key, read_keys
from scripts.host import certificates
from scripts.runtimes import status
from scripts.runtimes.change import Member, Members, read_members
from scripts.runtimes.deployment import Deployment, name_workers, plan_here
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.runtime import Runtime, needs_swarm

KEYS_TIMEOUT_S = 10  # until the gateway knows a changed list of keys; it takes one or two


@dataclass(frozen=True)
class State:
    """A service as it runs or is to run: its cluster file, its rendered files but for secrets, and its workers."""

    cluster: Cluster
    files: Mapping[str, str]
    members: Members


class SideBySide(Runtime):
    """A runtime on one machine, which starts, stops and watches single workers."""

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


def require_side_by_side(runtime: Runtime) -> SideBySide:
    """Return `runtime` if a slot can run workers of two models at once; raise CommandError if it cannot."""
    if isinstance(runtime, SideBySide):
        return runtime
    raise CommandError(
        f"under {runtime.name.title()} each slot has room for only one worker: keep the model's name in the "
        "cluster file, change its folder and run `make up`, which replaces its workers one at a time, without "
        "losing a request"
    )
