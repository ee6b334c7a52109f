"""The compose runtime: one container per slot and one for the gateway, on this machine's Docker engine."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster
from scripts.host import docker, images, selinux, systemd
from scripts.host.updates import image_updates
from scripts.render import compose as render
from scripts.render.compose import PARTS
from scripts.runtimes import live, states, unit_file
from scripts.runtimes.change import read_members
from scripts.runtimes.checks import check_capacity, check_writable
from scripts.runtimes.compose import files, gateway, launch, observability, shares
from scripts.runtimes.compose.containers import (
    ENVIRONMENT,
    WORKERS,
    arguments,
    boot_unit,
    containers,
    nginx_workers,
    remove,
    remove_volumes,
    run_compose,
    watch,
)
from scripts.runtimes.compose.files import MEMBERS, images_in
from scripts.runtimes.deployment import Deployment, plan_here
from scripts.runtimes.preflight import listen_faults, memory_faults, port_faults
from scripts.runtimes.request_lines import Line
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.runtime import Checks, Updates
from scripts.runtimes.side_by_side import SideBySide, State


class ComposeRuntime(SideBySide):
    """Docker Compose on this machine. If the first start fails, nothing is left running."""

    name = "compose"
    observability = observability
    members = MEMBERS
    keys = "members/keys.json"

    def suits(self, servers: int) -> bool:
        return docker.engine_fault() is None

    def up(self, cluster: Cluster, run: RunDir, *, force: bool = False, boot: bool = True) -> Deployment:
        """Have everything run that `cluster` describes; if a first start fails, leave nothing running."""
        planned = plan_here(cluster, run)
        wanted = {"gateway": cluster.gateway.listen, "metrics": cluster.metrics.listen if cluster.metrics.port else ()}
        if faults := [fault for table, addresses in wanted.items() for fault in listen_faults(addresses, table)]:
            raise CommandError(*(f"{cluster.source}: {fault}" for fault in faults))
        deployment = self._change(planned, force) if self.is_running(run) else self._start(planned)
        if boot and systemd.fault() is None:
            docker.enable_at_boot()
            unit_file.enable(run, boot_unit(run, [model.folder.resolve() for model in cluster.models]))
            systemd.require("start", unit_file.unit_name(run))
        else:
            unit_file.leave(run)
        return deployment

    def after_reboot(self, run: RunDir) -> str:
        return docker.after_reboot()

    def _change(self, planned: Deployment, force: bool) -> Deployment:
        """Turn what runs into `planned`."""
        launch.revive(planned.run)
        shares.serve(planned.run)  # a killed command, or a former kit, may have left a small one
        deployment = live.change(self, planned, force)
        gateway.put_behind_entrance(deployment, force)
        return deployment

    def _start(self, planned: Deployment) -> Deployment:
        """Start `planned` where nothing runs."""
        run, cluster = planned.run, planned.cluster
        memory = memory_faults(planned.plan, planned.hardware, planned.models, cluster.settings)
        labels = selinux.faults([model.folder.resolve() for model in cluster.models])
        if faults := [*port_faults(_ports(cluster)), *memory, *labels]:
            raise CommandError(*faults)
        run.remove()  # files of a runtime that has stopped serving
        self.build_artifacts(planned)
        state = states.target(self, planned)
        states.expect(run, cluster)
        self.start_first(run, state)
        states.remember(self, run, state)
        return planned

    def start_first(self, run: RunDir, state: State) -> None:
        """Start `state` where nothing runs; if that fails, leave nothing running."""
        try:
            launch.start(run, state, partial(self.write_secrets, state.cluster, run))
        except (CommandError, KeyboardInterrupt):
            self.down(run)
            raise

    def down(self, run: RunDir) -> None:
        """Stop and remove the containers, networks and caches; images and models stay."""
        if run.runtime is None:
            say("nothing is running")
            return
        _require_engine()
        step("stopping: requests in flight are answered first")
        unit_file.stop(run)
        unit_file.remove(run)
        files.adopt(run)
        run_compose(run, "down", "--remove-orphans", "--volumes")
        remove_volumes(run)
        run.remove()

    def rollout(self, cluster: Cluster, run: RunDir, *, force: bool = False) -> None:
        self.require_running(run)
        live.change(self, plan_here(cluster, run), force, renew=True)

    def rollback(self, cluster: Cluster, run: RunDir, *, force: bool = False) -> None:
        self.require_running(run)
        live.roll_back(self, cluster, run, force)

    def updates(self, cluster: Cluster, run: RunDir) -> Updates:
        serving = files.images_in({path: run.text(path) for path in (ENVIRONMENT, WORKERS)})
        return image_updates(serving or [image.reference for image in files.images_of(self.plan(cluster, run))])

    def apply_updates(self, cluster: Cluster, run: RunDir) -> None:
        images.update(files.images_of(self.plan(cluster, run)))
        if self.is_running(run):
            self.up(cluster, run)
        else:
            say("nothing is running: `make up` starts the new images, `make bundle` packs them")

    def follow_logs(self, run: RunDir, lines: int, follow: bool) -> None:
        if run.runtime is None:
            raise CommandError(f"{run.path}: no logs: nothing was started here, run `make up`")
        docker.run_streaming([*arguments(run), "logs", "--tail", str(lines), *(["--follow"] if follow else [])])

    def log_lines(self, run: RunDir) -> Iterator[Line]:
        for service in sorted(one.service for one in containers(run)):
            for text in docker.lines([*arguments(run), "logs", "--no-log-prefix", "--no-color", service]):
                yield Line(service, text)

    def is_running(self, run: RunDir) -> bool:
        _require_engine()
        return bool(containers(run))

    def checks(self, run: RunDir, deployment: Deployment | None) -> Checks:
        folders: Checks = {"folders": partial(check_writable, {run.path: "set another with RUN_DIR="})}
        if deployment is None:
            return folders
        ports = _ports(deployment.cluster)
        return {"ports and memory": lambda: check_capacity(deployment, ports, running=self.is_running(run)), **folders}

    def build_artifacts(self, deployment: Deployment) -> None:
        """Build the missing ones of the containers' images, and write what all new workers have in common."""
        images.ensure(files.images_of(deployment))
        deployment.run.write(dict([files.worker_file()]))
        files.adopt(deployment.run)

    def render(self, deployment: Deployment) -> dict[str, str]:
        return {"runtime": f"{self.name}\n", **files.rendered(deployment)}

    def running_files(self, run: RunDir, paths: Iterable[str]) -> dict[str, str]:
        return files.running(run, paths)

    def worker_definitions(self, files: Mapping[str, str]) -> dict[str, str]:
        return render.worker_texts(files[WORKERS])

    def worker_files(self, files: Mapping[str, str], definitions: Mapping[str, str]) -> dict[str, str]:
        return {WORKERS: render.with_workers(files[WORKERS], definitions)}

    def workers(self, run: RunDir) -> set[str]:
        return {one.service for one in containers(run)} - set(PARTS)

    def start(self, run: RunDir, worker: str) -> None:
        run_compose(run, "up", "--detach", "--no-deps", "--no-recreate", worker)

    def promote(self, run: RunDir, worker: str) -> None:
        shares.serve(run, worker)

    def remove(self, run: RunDir, workers: Iterable[str]) -> None:
        names = set(workers)
        remove([one for one in containers(run) if one.service in names])
        remove_volumes(run)

    def watch(self, run: RunDir, workers: Collection[str]) -> Callable[[], None]:
        return watch(run, workers)

    def gateway(self, run: RunDir) -> dict[int, str]:
        return nginx_workers(run)

    def open_to_gateway(self, run: RunDir) -> None:
        launch.open_to_gateway(run)

    def switch_gateway(self, run: RunDir, files: Mapping[str, str]) -> None:
        run.write({path: text for path, text in files.items() if path != WORKERS})
        self.open_to_gateway(run)
        if not gateway.is_former(run):
            gateway.replace(run, read_members(files[self.members], {}))

    def interruptions(self, files: Mapping[str, str], after: State) -> list[str]:
        """Return a line if the addresses that clients use become others, which are those of the entrance."""
        old, new = (render.published(text) for text in (files[WORKERS], after.files[WORKERS]))
        return [] if old == new else [f"port: clients find {', '.join(old)} until now, and then {', '.join(new)}"]

    def unrestorable(self, files: Mapping[str, str]) -> list[str]:
        """Return a line for each image that is not there any more."""
        gone = [reference for reference in images_in(files) if not docker.image_id(reference)]
        return [f"{reference}: found no such image any more, needed it: `docker load` it" for reference in gone]

    def restart(self, run: RunDir, before: State, after: State) -> None:
        try:
            launch.start(run, after, partial(self.write_secrets, after.cluster, run))
        except (CommandError, KeyboardInterrupt):
            step("starting what ran before")
            launch.start(run, before, partial(self.write_secrets, before.cluster, run))
            raise


def _ports(cluster: Cluster) -> list[int]:
    """Return this machine's ports that the entrance publishes."""
    return [port for port in (cluster.port, cluster.metrics.port) if port]


def _require_engine() -> None:
    if fault := docker.engine_fault():
        raise CommandError(fault)
