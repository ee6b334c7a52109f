"""The local runtime: workers, Nginx and the gate under supervisord on this machine, without Docker."""

import os
import stat
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.base.programs import search_path
from scripts.cluster.config import ROOT, Cluster
from scripts.cluster.keys import gate_keys
from scripts.host import certificates, docker, offline, systemd
from scripts.host.environments import SERVE, SERVE_TORCH, Environment, ensure, serving
from scripts.host.names import own_names
from scripts.render import common as render
from scripts.runtimes import unit_file
from scripts.runtimes.deployment import Deployment, plan_here, reuse_ports, with_default_ports
from scripts.runtimes.local import boot_unit, logs, orphans, processes, setup, supervisor
from scripts.runtimes.local.accounts import check_access, prefix, service_account, show
from scripts.runtimes.preflight import has_ipv6, listen_faults, memory_faults, memory_limit, port_faults
from scripts.runtimes.request_lines import Line
from scripts.runtimes.rolling import replace_each
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.runtime import Checks, SideBySide
from scripts.runtimes.waiting import wait_in_rotation
from worker.contract.cpu_list import format_cpu_list

SUPERVISORD_GONE = "supervisord is gone"
GATE_HOME = ROOT / "nginx"
INHERITED_VARIABLES = ("LANG", "GATE_INTERVAL")
GATE = (SERVE.python, "-m", "gate")
GUNICORN = ("-m", "gunicorn", "-c", "worker/gunicorn.conf.py", "worker.app:create_app()")


class LocalRuntime(SideBySide):
    """supervisord on this machine; needs no Docker. Each worker listens on a port of the machine."""

    name = "local"
    members = "gateway/rendered/members.json"
    keys = "gateway/rendered/keys.json"

    def suits(self, servers: int) -> bool:
        return True

    def plan(self, cluster: Cluster, run: RunDir) -> Deployment:
        return _with_running_ports(plan_here(cluster, run))

    def up(self, cluster: Cluster, run: RunDir, boot: bool = True) -> Deployment:
        """Start everything and wait until every worker is in rotation; if that fails, leave nothing running."""
        by_systemd = boot and systemd.fault() is None
        if not by_systemd:
            unit_file.leave(run)
        planned = plan_here(cluster, run)
        deployment = with_default_ports(planned)
        if faults := listen_faults(cluster.listen):
            raise CommandError(*(f"{cluster.source}: {fault}" for fault in faults))
        setup.install_nginx()
        if cluster.keys and (fault := setup.key_module_fault()):
            raise CommandError(fault)
        if faults := memory_faults(planned.plan, planned.hardware, planned.models, cluster.settings):
            raise CommandError(*faults)
        running = supervisor.is_running(run)
        if running:
            run.write({self.keys: gate_keys(cluster)})  # a change of keys alone restarts nothing
        certificate = certificates.served(cluster)
        unchanged = _with_running_ports(planned)
        if running and run.has_files({**self.render(unchanged), **{path: run.text(path) for path in certificate}}):
            step("already running")
            if not run.has_files(certificate):
                step("the certificate changed: Nginx loads it, and keeps its connections")
                run.write(certificate)
            self.wait(unchanged)
            if by_systemd:
                unit_file.enable(run, _unit(unchanged))
            return unchanged
        self.build_artifacts(deployment)
        if not running and orphans.find(run):
            step(f"{SUPERVISORD_GONE}: ending the processes it left behind")
            orphans.end(run)
        ports = {cluster.port, *deployment.ports.values()}
        if faults := port_faults(sorted(ports - run.all_ports if running else ports)):
            raise CommandError(*faults)
        if running:
            step("the plan changed: stopping the running service")
            _stop_all(run)
        try:
            _start(deployment, self.render(deployment), by_systemd)
            self.wait(deployment)
        except (CommandError, KeyboardInterrupt):
            _stop_all(run)
            unit_file.remove(run)
            run.clear_runtime()
            raise
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
        _stop_all(run)
        unit_file.remove(run)
        if busy := [port for port in sorted(run.all_ports) if port_faults([port])]:
            listed = ", ".join(map(str, busy))
            raise CommandError(
                f"port {listed}: still in use by a process that was not started from {run.path}: "
                "`ss -ltnp` shows which one"
            )
        return run.remove()

    def rollout(self, cluster: Cluster, run: RunDir) -> None:
        deployment = self.plan(cluster, run)
        if not self.is_running(run):
            raise CommandError("nothing is running here: run `make up` first")
        replace_each(deployment, lambda worker: supervisor.restart(run, worker), lambda: self.wait(deployment))

    def follow_logs(self, run: RunDir, lines: int, follow: bool) -> None:
        files = sorted(run.logs.glob("*.log"))
        if not files:
            raise CommandError(f"{run.logs}: no logs: nothing was started here, run `make up`")
        os.execvp("tail", ["tail", f"--lines={lines}", *(["--follow=name"] if follow else []), *map(str, files)])  # noqa: S606

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
        return setup.checks(run, deployment, _environments(deployment) if deployment else {SERVE})

    def build_artifacts(self, deployment: Deployment) -> None:
        """Create the missing Python environments of the processes, and show a running service its model folders."""
        for environment in _environments(deployment):
            ensure(environment, nvidia=bool(deployment.hardware.gpus))
        pid = supervisor.pid_of(deployment.run)
        if pid and os.geteuid() == 0:
            show(service_account(), _visible(deployment), pid)
        self.keep(deployment)

    def keep(self, deployment: Deployment) -> None:
        if unit_file.is_installed(deployment.run):
            unit_file.write(deployment.run, _unit(deployment))

    def after_reboot(self, run: RunDir) -> str:
        if unit_file.is_enabled(run):
            return f"starts with this machine: {unit_file.unit_name(run)}"
        return f"a reboot ends the service, `make up` starts it again: {systemd.fault() or 'BOOT=0'}"

    def render(self, deployment: Deployment) -> dict[str, str]:
        cluster, plan, ports = deployment.cluster, deployment.plan, deployment.ports
        commands = {name: (serving(model.needs).python, *GUNICORN) for name, model in deployment.models.items()}
        memory = {name: memory_limit(model, cluster.settings) for name, model in deployment.models.items()}
        return {
            "runtime": f"{self.name}\n",
            "rendered/programs.conf": render.programs(cluster, plan, ports, commands, memory, ROOT),
            self.keys: gate_keys(cluster),
            self.members: render.members(cluster, plan, render.addresses(cluster, plan, ports), own_names()),
            "gateway/rendered/listen.conf": render.listen_directive(
                cluster.port, has_ipv6(), cluster.tls.enabled, cluster.listen
            ),
            **certificates.served(cluster),
        }

    def start(self, run: RunDir, worker: str) -> None:
        supervisor.add(run, worker)

    def remove(self, run: RunDir, workers: Iterable[str]) -> None:
        supervisor.remove(run, workers)

    def wait(self, deployment: Deployment, workers: Collection[str] = ()) -> None:
        wait_in_rotation(deployment, processes.watch(deployment, workers), workers)

    def gateway(self, run: RunDir) -> dict[int, str]:
        return processes.nginx_workers(run)


def _with_running_ports(planned: Deployment) -> Deployment:
    """Return `planned` with the ports of the workers that already run."""
    return reuse_ports(planned, planned.run.ports, lambda port: not port_faults([port]))


def _stop_all(run: RunDir) -> None:
    unit_file.stop(run)
    supervisor.stop(run)
    orphans.end(run)  # processes that supervisord may have lost


def _environments(deployment: Deployment) -> set[Environment]:
    return {SERVE, *(serving(model.needs) for model in deployment.models.values())}


def _start(deployment: Deployment, files: Mapping[str, str], by_systemd: bool) -> None:
    run, python, workers = deployment.run, SERVE.python, deployment.plan.workers
    account = service_account()
    say("   slots: " + ", ".join(f"{worker.name} on CPU {format_cpu_list(worker.slot.cpus)}" for worker in workers))
    run.create(files, account)
    environ, start = _environ(run), prefix(account, _visible(deployment), [deployment.cluster.port], len(workers))
    manifests = [model.folder / "model.toml" for model in deployment.cluster.models]
    check_access(start, python, [*manifests, ROOT / "worker/app.py"], run.path)
    result = subprocess.run([*start, *_check(run)], cwd=GATE_HOME, env=environ, capture_output=True, text=True)
    if result.returncode:
        raise CommandError(f"the gate rejected its list of workers: {result.stderr.strip()}")
    step("starting workers, Nginx and the gate")
    if by_systemd:
        unit_file.enable(run, _unit(deployment))
        boot_unit.start(run)
    else:
        supervisor.start(run, python, start, environ)


def _check(run: RunDir) -> list[str | Path]:
    """Return the command by which the gate reads its list of workers, and writes the first one for Nginx."""
    return [*GATE, "init", "--members", run.members, "--out", run.members.parent]


def _unit(deployment: Deployment) -> str:
    """Return the unit by which systemd starts and stops what `_start` starts."""
    environ = _environ(deployment.run)
    return boot_unit.text(deployment, _visible(deployment), environ, _check(deployment.run), SERVE.python, GATE_HOME)


def _visible(deployment: Deployment) -> set[Path]:
    """Return the folders that the processes need; beside each model those that may be served in its place later."""
    environments = [Path(os.path.realpath(environment.folder)) for environment in (SERVE, SERVE_TORCH)]
    folders = [model.folder.resolve() for model in deployment.cluster.models]
    models = [folder.parent if folder.parent.stat().st_mode & stat.S_IXOTH else folder for folder in folders]
    return {ROOT, deployment.run.path, Path(sys.base_prefix), *models, *filter(Path.exists, environments)}


def _environ(run: RunDir) -> dict[str, str]:
    """Return the processes' environment; the caller's adds only INHERITED_VARIABLES and the search path."""
    inherited = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    fixed = {
        "PATH": search_path(),
        "LANG": "C.UTF-8",
        "HOME": str(run.path),
        "GATE": " ".join(f"'{part}'" for part in GATE),
        "GATE_HOME": str(GATE_HOME),
        **orphans.mark(),
    }
    return offline.variables() | fixed | inherited
