"""The local runtime: workers, Nginx and the gate under supervisord on this machine, without Docker."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster
from scripts.host import docker, systemd
from scripts.host.environments import SERVE
from scripts.host.updates import apply_to_machine, machine_updates
from scripts.host.venv import ensure
from scripts.render import programs
from scripts.render.gateway import listen_ports
from scripts.runtimes import live, states, unit_file
from scripts.runtimes.change import Members
from scripts.runtimes.deployment import Deployment, plan_here, reuse_ports, with_default_ports
from scripts.runtimes.local import files, gateway, launch, logs, observability, orphans, processes, setup, supervisor
from scripts.runtimes.local.accounts import UNPRIVILEGED_PORT, as_owner, service_account, show
from scripts.runtimes.local.files import LISTEN, MEMBERS, PROGRAMS, environments, gateway_ports, kit_text, worker_ports
from scripts.runtimes.local.layout import KIT, kit_of, remove_caches
from scripts.runtimes.preflight import port_faults
from scripts.runtimes.request_lines import Line
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.runtime import Checks, Updates
from scripts.runtimes.side_by_side import SideBySide, State
from scripts.runtimes.waiting import gateway_of, wait_in_rotation

SUPERVISORD_GONE = "supervisord is gone"


class LocalRuntime(SideBySide):
    """supervisord on this machine; needs no Docker. Each worker listens on a port of the machine."""

    name = "local"
    observability = observability
    members = MEMBERS
    keys = "gateway/rendered/keys.json"

    def suits(self, servers: int) -> bool:
        return True

    def place(self, deployment: Deployment, taken: Members = MappingProxyType({})) -> Deployment:
        """Return `deployment` with ports: of the workers that are listed, and free ones for the others."""
        held = {member.port for member in taken.values()}
        known = worker_ports(deployment.run)
        return reuse_ports(deployment, known, lambda port: port not in held and not port_faults([port]))

    def up(self, cluster: Cluster, run: RunDir, *, force: bool = False, boot: bool = True) -> Deployment:
        """Have everything run that `cluster` describes; if a first start fails, leave nothing running."""
        by_systemd = boot and systemd.fault() is None
        if not by_systemd:
            unit_file.leave(run)
        planned = plan_here(cluster, run)
        setup.require(planned)
        if supervisor.is_running(run):
            return self._change(planned, force, by_systemd)
        return self._start(planned, by_systemd)

    def _change(self, planned: Deployment, force: bool, by_systemd: bool) -> Deployment:
        """Turn what runs into `planned`."""
        run, cluster = planned.run, planned.cluster
        own = gateway_ports(run) | {one.port for one in states.known(run, cluster)}
        if faults := port_faults({cluster.port} - own):
            raise CommandError(*faults)
        deployment = live.change(self, planned, force)
        if by_systemd:
            unit_file.enable(run, launch.unit(deployment))
        return deployment

    def _start(self, planned: Deployment, by_systemd: bool) -> Deployment:
        """Start `planned` where nothing runs; if that fails, leave nothing running."""
        run, cluster = planned.run, planned.cluster
        deployment = with_default_ports(planned)
        self.build_artifacts(deployment)
        if orphans.find(run):
            step(f"{SUPERVISORD_GONE}: ending the processes it left behind")
            orphans.end(run)
        if faults := port_faults(sorted({cluster.port, *deployment.ports.values()})):
            raise CommandError(*faults)
        state = states.target(self, deployment)
        states.expect(run, cluster)
        try:
            self._launch(run, state, by_systemd)
        except (CommandError, KeyboardInterrupt):
            launch.stop(run)
            unit_file.remove(run)
            run.clear_runtime()
            raise
        states.remember(self, run, state)
        return deployment

    def down(self, run: RunDir) -> None:
        """Stop everything and remove the run directory; raise CommandError if something is left running."""
        if run.path.exists() and os.geteuid() not in (0, run.path.stat().st_uid):
            raise CommandError(f"{run.path}: no permission: needed the account that started this service, or root")
        if supervisor.is_running(run):
            step("stopping: requests in flight are answered first")
        elif orphans.find(run):
            step(f"{SUPERVISORD_GONE}: ending the processes it left behind")
        else:
            say("nothing is running")
            unit_file.stop(run)  # which may be between two starts
            unit_file.remove(run)
            return run.remove()
        launch.stop(run)
        unit_file.remove(run)
        if busy := [port for port in sorted({*worker_ports(run).values(), *gateway_ports(run)}) if port_faults([port])]:
            listed = ", ".join(map(str, busy))
            raise CommandError(
                f"port {listed}: still in use by a process that was not started from {run.path}: "
                "`ss -ltnp` shows which one"
            )
        return run.remove()

    def rollout(self, cluster: Cluster, run: RunDir, *, force: bool = False) -> None:
        self.require_running(run)
        live.change(self, plan_here(cluster, run), force, renew=True)

    def rollback(self, cluster: Cluster, run: RunDir, *, force: bool = False) -> None:
        self.require_running(run)
        live.roll_back(self, cluster, run, force)

    def updates(self, cluster: Cluster, run: RunDir) -> Updates:
        return {"this machine": machine_updates}

    def apply_updates(self, cluster: Cluster, run: RunDir) -> None:
        apply_to_machine(machine_updates())
        if self.is_running(run):
            self.rollout(cluster, run)

    def follow_logs(self, run: RunDir, lines: int, follow: bool) -> None:
        names = sorted(path.name for path in run.logs.glob("*.log"))
        if not names:
            raise CommandError(f"{run.logs}: no logs: nothing was started here, run `make up`")
        logs.enter(run.logs)
        command = [*as_owner(run.logs), "tail", f"--lines={lines}", *(["--follow=name"] if follow else []), *names]
        os.execvp(command[0], command)  # noqa: S606

    def log_lines(self, run: RunDir) -> Iterator[Line]:
        return logs.lines(run.logs)

    def is_running(self, run: RunDir) -> bool:
        """Return whether a service runs from `run`; raise CommandError if it has lost its supervisord."""
        if faults := self.faults(run):
            raise CommandError(*faults)
        return supervisor.is_running(run)

    def faults(self, run: RunDir) -> list[str]:
        """Return a line if the service in `run` has lost its supervisord; else an empty list."""
        if supervisor.is_running(run) or not orphans.find(run):
            return []
        remedy = "`make up` ends the rest and starts the service again"
        return [f"{SUPERVISORD_GONE}: processes that end are not restarted; {remedy}"]

    def check_choice(self) -> str:
        fault = docker.engine_fault()
        return f"`make up` uses the local runtime{f': {fault}' if fault else ''}"

    def checks(self, run: RunDir, deployment: Deployment | None) -> Checks:
        return setup.checks(run, deployment, environments(deployment) if deployment else {SERVE})

    def build_artifacts(self, deployment: Deployment) -> None:
        """Create the missing Python environments of the processes, and show a running service its model folders."""
        for environment in environments(deployment):
            ensure(environment, nvidia=bool(deployment.hardware.gpus))
        pid = supervisor.pid_of(deployment.run)
        if pid and os.geteuid() == 0:
            show(service_account(), launch.visible(deployment), pid)
        self.keep(deployment)

    def keep(self, deployment: Deployment) -> None:
        if unit_file.is_installed(deployment.run):
            unit_file.write(deployment.run, launch.unit(deployment))

    def after_reboot(self, run: RunDir) -> str:
        if unit_file.is_enabled(run):
            return f"starts with this machine: {unit_file.unit_name(run)}"
        return f"a reboot ends the service, `make up` starts it again: {systemd.fault() or 'BOOT=0'}"

    def render(self, deployment: Deployment) -> dict[str, str]:
        return {"runtime": f"{self.name}\n", **files.rendered(deployment)}

    def running_files(self, run: RunDir, paths: Iterable[str]) -> dict[str, str]:
        return files.running(run, paths)

    def worker_definitions(self, files: Mapping[str, str]) -> dict[str, str]:
        return programs.program_sections(files[PROGRAMS])

    def worker_files(self, files: Mapping[str, str], definitions: Mapping[str, str]) -> dict[str, str]:
        return {PROGRAMS: programs.joined_programs(definitions.values())}

    def workers(self, run: RunDir) -> set[str]:
        return supervisor.workers(run)

    def start(self, run: RunDir, worker: str) -> None:
        supervisor.add(run, worker)

    def remove(self, run: RunDir, workers: Iterable[str]) -> None:
        names = list(workers)
        supervisor.remove(run, names)
        remove_caches(run, names)

    def watch(self, run: RunDir, workers: Collection[str]) -> Callable[[], None]:
        return processes.watch(run, workers)

    def gateway(self, run: RunDir) -> dict[int, str]:
        return processes.nginx_workers(run)

    def switch_gateway(self, run: RunDir, files: Mapping[str, str]) -> None:
        gateway.switch(run, files)

    def interruptions(self, files: Mapping[str, str], after: State) -> list[str]:
        """Return a line if Nginx, which runs without rights, would have to begin to listen below UNPRIVILEGED_PORT."""
        port = after.cluster.port
        if port >= UNPRIVILEGED_PORT or min(listen_ports(files[LISTEN])) < UNPRIVILEGED_PORT:
            return []
        return [f"port {port}: only a service that starts anew may listen below {UNPRIVILEGED_PORT}"]

    def restart(self, run: RunDir, before: State, after: State) -> None:
        by_systemd = unit_file.is_installed(run)
        step("stopping the running service")
        launch.stop(run)
        try:
            self._launch(run, after, by_systemd)
        except (CommandError, KeyboardInterrupt):
            launch.stop(run)
            step("starting what ran before")
            self._launch(run, before, by_systemd)
            raise

    def unrestorable(self, files: Mapping[str, str]) -> list[str]:
        """Return a line if the code that `files` name is not there any more."""
        root = kit_of(files[KIT])
        if files[KIT] in (kit_text(root), f"{root}\n"):
            return []
        return [f"{root}: found other code than that which served, needed that: check it out there again"]

    def _launch(self, run: RunDir, state: State, by_systemd: bool) -> None:
        """Start `state` where nothing runs, and wait until every worker is in rotation."""
        write_secrets = partial(self.write_secrets, state.cluster, run)
        launch.start(self.plan(state.cluster, run), state.files, write_secrets, by_systemd)
        wait_in_rotation(gateway_of(state.cluster), state.members, processes.watch(run, [*state.members]))
