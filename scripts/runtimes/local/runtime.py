"""The local runtime: workers, Nginx and the gate under supervisord on this machine, without Docker."""

import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.base.programs import search_path
from scripts.base.waiting import wait_until
from scripts.cluster.config import ROOT, Cluster
from scripts.cluster.models import content_hash
from scripts.host import docker, offline, systemd
from scripts.host.environments import SERVE, SERVE_TORCH, Environment, ensure, fingerprint, serving
from scripts.host.images import revision
from scripts.host.names import own_names
from scripts.host.updates import apply_to_machine, of_machine
from scripts.render import common as render
from scripts.runtimes import live, unit_file
from scripts.runtimes.change import Members
from scripts.runtimes.deployment import Deployment, plan_here, reuse_ports, with_default_ports
from scripts.runtimes.local import boot_unit, logs, orphans, processes, setup, supervisor
from scripts.runtimes.local.accounts import UNPRIVILEGED_PORT, check_access, prefix, service_account, show
from scripts.runtimes.preflight import has_ipv6, listen_faults, memory_faults, memory_limit, port_faults
from scripts.runtimes.request_lines import Line
from scripts.runtimes.run_directory import KIT, RunDir, kit_of
from scripts.runtimes.runtime import Checks, SideBySide, State, Updates
from scripts.runtimes.waiting import gateway_of, wait_in_rotation
from worker.contract.cpu_list import format_cpu_list

SUPERVISORD_GONE = "supervisord is gone"
PROGRAMS, GATE_PROGRAMS, LISTEN = "rendered/programs.conf", "rendered/gate.conf", "gateway/rendered/listen.conf"
RELOAD_TIMEOUT_S = 20  # of Nginx, by a gate that has just started
GATE_HOME = ROOT / "nginx"
INHERITED_VARIABLES = ("LANG", "GATE_INTERVAL")
GATE = ("-m", "gate")
GUNICORN = ("-m", "gunicorn", "-c", "worker/gunicorn.conf.py", "worker.app:create_app()")


class LocalRuntime(SideBySide):
    """supervisord on this machine; needs no Docker. Each worker listens on a port of the machine."""

    name = "local"
    members = "gateway/rendered/members.json"
    keys = "gateway/rendered/keys.json"

    def suits(self, servers: int) -> bool:
        return True

    def place(self, deployment: Deployment, taken: Members = MappingProxyType({})) -> Deployment:
        """Return `deployment` with ports: of the workers that are listed, and free ones for the others."""
        held = {member.port for member in taken.values()}
        known = {name: member.port for name, member in self.listed(deployment.run).items()}
        return reuse_ports(deployment, known, lambda port: port not in held and not port_faults([port]))

    def up(self, cluster: Cluster, run: RunDir, *, force: bool = False, boot: bool = True) -> Deployment:
        """Have everything run that `cluster` describes; if a first start fails, leave nothing running."""
        by_systemd = boot and systemd.fault() is None
        if not by_systemd:
            unit_file.leave(run)
        planned = plan_here(cluster, run)
        if faults := listen_faults(cluster.listen):
            raise CommandError(*(f"{cluster.source}: {fault}" for fault in faults))
        setup.install_nginx()
        if cluster.keys and (fault := setup.key_module_fault()):
            raise CommandError(fault)
        if faults := memory_faults(planned.plan, planned.hardware, planned.models, cluster.settings):
            raise CommandError(*faults)
        if supervisor.is_running(run):
            if faults := port_faults({cluster.port} - run.gateway_ports):
                raise CommandError(*faults)
            deployment = live.change(self, planned, force)
            if by_systemd:
                unit_file.enable(run, _unit(deployment))
            return deployment
        deployment = with_default_ports(planned)
        self.build_artifacts(deployment)
        if orphans.find(run):
            step(f"{SUPERVISORD_GONE}: ending the processes it left behind")
            orphans.end(run)
        if faults := port_faults(sorted({cluster.port, *deployment.ports.values()})):
            raise CommandError(*faults)
        state = live.target(self, deployment)
        try:
            self._launch(run, state, by_systemd)
        except (CommandError, KeyboardInterrupt):
            _stop_all(run)
            unit_file.remove(run)
            run.clear_runtime()
            raise
        live.remember(self, run, state)
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
        self.require_running(run)
        live.change(self, plan_here(cluster, run), renew=True)

    def rollback(self, cluster: Cluster, run: RunDir) -> None:
        self.require_running(run)
        live.roll_back(self, cluster, run)

    def updates(self, cluster: Cluster, run: RunDir) -> Updates:
        return {"this machine": of_machine}

    def apply_updates(self, cluster: Cluster, run: RunDir) -> None:
        apply_to_machine(of_machine())
        if self.is_running(run):
            self.rollout(cluster, run)

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
        cluster, plan, ports, models = deployment.cluster, deployment.plan, deployment.ports, deployment.models
        environments = {name: serving(model.needs) for name, model in models.items()}
        commands = {name: (environment.python, *GUNICORN) for name, environment in environments.items()}
        memory = {name: memory_limit(model, cluster.settings) for name, model in models.items()}
        worker, gate, nvidia = revision(["worker"], ROOT), revision(["nginx"], ROOT), bool(deployment.hardware.gpus)
        revisions = {
            model.name: f"code {worker}, environment {_digest(fingerprint(environments[model.name], nvidia))}, "
            f"model {content_hash(model.folder)[:12]}"
            for model in cluster.models
        }
        return {
            "runtime": f"{self.name}\n",
            KIT: _kit(ROOT),
            PROGRAMS: render.programs(cluster, plan, ports, commands, memory, ROOT, revisions),
            GATE_PROGRAMS: render.gate_programs(SERVE.python, ROOT, gate),
            self.members: render.members(
                cluster,
                plan,
                render.addresses(cluster, plan, ports),
                own_names(),
                render.metrics_addresses(cluster, has_ipv6()),
            ),
            LISTEN: render.listen_directive(cluster.port, has_ipv6(), cluster.tls.enabled, cluster.listen),
            **self.secrets(cluster),
        }

    def running_files(self, run: RunDir, paths: Iterable[str]) -> dict[str, str]:
        files = {path: run.text(path) for path in paths}
        return {**files, KIT: files.get(KIT) or _kit(run.kit)}  # earlier releases wrote none

    def texts(self, files: Mapping[str, str]) -> dict[str, str]:
        return render.program_sections(files[PROGRAMS])

    def worker_files(self, files: Mapping[str, str], texts: Mapping[str, str]) -> dict[str, str]:
        return {PROGRAMS: render.joined_programs(texts.values())}

    def workers(self, run: RunDir) -> set[str]:
        return supervisor.workers(run)

    def start(self, run: RunDir, worker: str) -> None:
        supervisor.add(run, worker)

    def remove(self, run: RunDir, workers: Iterable[str]) -> None:
        supervisor.remove(run, workers)

    def watch(self, run: RunDir, workers: Collection[str]) -> Callable[[], None]:
        return processes.watch(run, workers)

    def gateway(self, run: RunDir) -> dict[int, str]:
        return processes.nginx_workers(run)

    def switch_gateway(self, run: RunDir, files: Mapping[str, str]) -> None:
        """Start another gate if its code, Nginx's configuration or the addresses are others: it reloads Nginx."""
        shared = {path: text for path, text in files.items() if path != PROGRAMS}
        unchanged = run.has_files({path: shared[path] for path in (KIT, GATE_PROGRAMS, LISTEN)})
        known = processes.nginx_workers(run).keys()
        run.write(shared)
        if unchanged:
            return
        step("the gateway changes: Nginx loads its configuration again, and keeps its connections")
        run.adopt(kit_of(files[KIT]))
        supervisor.update_gate(run)
        if not wait_until(lambda: not known & processes.taking_requests(run), RELOAD_TIMEOUT_S):
            log = processes.log_end(run, "gate")
            raise CommandError("the gateway goes by its former configuration; the gate's log ends with:", *log)

    def stops(self, files: Mapping[str, str], after: State) -> list[str]:
        """Return a line if Nginx, which runs without rights, would have to begin to listen below UNPRIVILEGED_PORT."""
        port = after.cluster.port
        if port >= UNPRIVILEGED_PORT or min(render.listen_ports(files[LISTEN])) < UNPRIVILEGED_PORT:
            return []
        return [f"port {port}: only a service that starts anew may listen below {UNPRIVILEGED_PORT}"]

    def restart(self, run: RunDir, before: State, after: State) -> None:
        by_systemd = unit_file.is_installed(run)
        step("stopping the running service")
        _stop_all(run)
        try:
            self._launch(run, after, by_systemd)
        except (CommandError, KeyboardInterrupt):
            _stop_all(run)
            step("starting what ran before")
            self._launch(run, before, by_systemd)
            raise

    def unrestorable(self, files: Mapping[str, str]) -> list[str]:
        """Return a line if the code that `files` name is not there any more."""
        root = kit_of(files[KIT])
        if files[KIT] in (_kit(root), f"{root}\n"):
            return []
        return [f"{root}: found other code than that which served, needed that: check it out there again"]

    def _launch(self, run: RunDir, state: State, by_systemd: bool) -> None:
        """Start `state` where nothing runs, and wait until every worker is in rotation."""
        _start(self.plan(state.cluster, run), {**state.files, **self.secrets(state.cluster)}, by_systemd)
        wait_in_rotation(gateway_of(state.cluster), state.members, processes.watch(run, [*state.members]))


def _kit(root: Path) -> str:
    """Return the text that names the kit in `root` and its code, which may change there."""
    return f"{root}\n{revision(['worker'], root)} {revision(['nginx'], root)}\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


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
    return [SERVE.python, *GATE, "init", "--members", run.members, "--out", run.members.parent]


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
        "GATE": " ".join(f"'{part}'" for part in (SERVE.python, *GATE)),
        "GATE_HOME": str(GATE_HOME),
        **orphans.mark(),
    }
    return offline.variables() | fixed | inherited
