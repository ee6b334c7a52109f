"""The local runtime: workers, Nginx and gate under supervisord, on this machine and without Docker."""

import contextlib
import os
import pwd
import subprocess
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from scripts.base.console import say, step, warn
from scripts.base.errors import Refusal
from scripts.base.programs import search_path
from scripts.cluster.config import ROOT
from scripts.cluster.models import Served
from scripts.host import offline
from scripts.host.environments import SERVE, SERVE_TORCH, Environment, ensure
from scripts.host.packages import NGINX, require
from scripts.render import common as render
from scripts.runtimes.deployment import Site, afresh
from scripts.runtimes.local import orphans, supervisor
from scripts.runtimes.local.accounts import NOBODY, choose_account
from scripts.runtimes.preflight import memory_faults, port_faults
from scripts.runtimes.rolling import replace_each
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.waiting import wait_in
from worker.contract.cpu_list import format_cpu_list

MEMBERS = "gateway/rendered/members.json"
LOG_LINES = 12
GONE = "supervisord is gone"
GATE_HOME = ROOT / "nginx"
GUNICORN = ("-m", "gunicorn", "-c", "worker/gunicorn.conf.py", "worker.app:create_app()")


def up(site: Site) -> None:
    """Bring everything up and wait until every worker answers; when it fails, nothing is left running."""
    require(NGINX)
    if faults := memory_faults(site.plan, site.hardware, site.models):
        raise Refusal(*faults)
    running = supervisor.is_running(site.run)
    if running and site.run.holds(rendered(site)):
        step("already up")
        return wait(site)
    site = afresh(site)
    build(site)
    files = rendered(site)
    if not running and orphans.find(site.run):
        step(f"{GONE}: ending what it left behind")
        orphans.end(site.run)
    ports = {site.cluster.port, *(worker.port for worker in site.plan.workers)}
    if faults := port_faults(sorted(ports - site.run.held_ports if running else ports)):
        raise Refusal(*faults)
    if running:
        step("the plan changed: ending what runs")
        _end(site.run)
    try:
        _start(site, files)
        wait(site)
    except (Refusal, KeyboardInterrupt):
        _end(site.run)
        site.run.disown()
        raise
    return None


def down(run: RunDir) -> None:
    """Stop everything and take the run directory away; raise Refusal where something lives on."""
    if run.path.exists() and os.geteuid() not in (0, run.path.stat().st_uid):
        raise Refusal(f"{run.path}: no permission: needed the account that started this service, or root")
    if supervisor.is_running(run):
        step("stopping: what is in flight is answered first")
    elif orphans.find(run):
        step(f"{GONE}: ending what it left behind")
    else:
        say("nothing is running")
        return run.remove()
    _end(run)
    if busy := [port for port in sorted(run.held_ports) if port_faults([port])]:
        listed = ", ".join(map(str, busy))
        raise Refusal(
            f"port {listed}: still in use, by nothing that was started from {run.path}: `ss -ltnp` says by whom"
        )
    return run.remove()


def rollout(site: Site) -> None:
    """Replace the workers one at a time, as replace_each says."""
    if not is_running(site.run):
        raise Refusal("nothing is running here: run `make up` first")
    replace_each(site, lambda worker: supervisor.restart(site.run, worker), lambda: wait(site))


def follow_logs(run: RunDir, lines: int, follow: bool) -> None:
    """Show the end of every log, and with `follow` all that comes after."""
    logs = sorted(run.logs.glob("*.log"))
    if not logs:
        raise Refusal(f"{run.logs}: no logs: nothing was started here, run `make up`")
    os.execvp("tail", ["tail", f"--lines={lines}", *(["--follow=name"] if follow else []), *map(str, logs)])  # noqa: S606


def is_running(run: RunDir) -> bool:
    """Whether a service runs from here; raise Refusal for one whose supervisord is gone."""
    if faults := faults_of(run):
        raise Refusal(*faults)
    return supervisor.is_running(run)


def faults_of(run: RunDir) -> list[str]:
    """Return a line where what runs from here has lost its supervisord."""
    if supervisor.is_running(run) or not orphans.find(run):
        return []
    return [f"{GONE}: nothing starts a process again that ends; `make up` ends what is left and starts all anew"]


def _end(run: RunDir) -> None:
    supervisor.stop(run)
    orphans.end(run)  # which it may have lost


def build(site: Site) -> None:
    """Make the Python environments that the processes of `site` run in, where they are missing; raise Refusal."""
    for environment in {SERVE, *(_environment(model) for model in site.models.values())}:
        ensure(environment, nvidia=bool(site.hardware.gpus))


def _environment(model: Served) -> Environment:
    return SERVE_TORCH if model.torch else SERVE


def rendered(site: Site) -> dict[str, str]:
    """Return what lies in the run directory of `site`: path to text. Makes nothing."""
    commands = {name: (_environment(model).python, *GUNICORN) for name, model in site.models.items()}
    return {
        "runtime": "local\n",
        "rendered/programs.conf": render.programs(site.cluster, site.plan, commands, ROOT),
        MEMBERS: render.members(site.cluster, site.plan, render.addresses(site.cluster, site.plan)),
        "gateway/rendered/listen.conf": render.listen(site.cluster.port),
    }


def start(run: RunDir, worker: str) -> None:
    """Start one worker more, which the rendered files have already."""
    supervisor.add(run, worker)


def remove(run: RunDir, workers: Iterable[str]) -> None:
    """Stop the workers, which answer what they have first, and forget them."""
    supervisor.remove(run, workers)


def wait(site: Site, workers: Collection[str] = ()) -> None:
    """Return once `workers`, or all of the plan, are in rotation; raises Refusal with the reason when they cannot."""
    wait_in(site, _watch(site, workers), workers)


def gateway(run: RunDir) -> dict[int, str]:
    """The processes that Nginx answers with: the title of each, by process id."""
    found = {}
    with contextlib.suppress(OSError, ValueError):
        master = int((run.path / "gateway/tmp/nginx.pid").read_text())
        for pid in _children(master):
            with contextlib.suppress(OSError):  # one that has just ended
                found[pid] = Path(f"/proc/{pid}/cmdline").read_text().strip("\0 ")
    return found


def _start(site: Site, files: Mapping[str, str]) -> None:
    python, folders = SERVE.python, [model.folder / "model.toml" for model in site.cluster.models]
    site.run.path.parent.mkdir(parents=True, exist_ok=True)
    account = choose_account(python, [*folders, ROOT / "worker/app.py"], site.run.path.parent)
    say("   slots: " + ", ".join(f"{w.name} on CPU {format_cpu_list(w.slot.cpus)}" for w in site.plan.workers))
    if account.pw_uid == 0:
        warn(f"running as root: account {NOBODY} cannot use {ROOT}, {site.run.path} or {python.resolve()}")
    site.run.create(files, account)
    gate: list[str | Path] = [python, "-m", "gate"]
    out = site.run.members.parent
    command = [*gate, "init", "--members", site.run.members, "--out", out]
    made = subprocess.run(command, cwd=GATE_HOME, capture_output=True, text=True)
    if made.returncode:
        raise Refusal(f"the gate refuses its members: {made.stderr.strip()}")
    for file in out.iterdir():
        os.chown(file, account.pw_uid, account.pw_gid)
    step("starting workers, Nginx and the gate")
    supervisor.start(site.run, python, account, _environ(site.run, account, " ".join(f"'{part}'" for part in gate)))


def _environ(run: RunDir, account: pwd.struct_passwd, gate: str) -> dict[str, str]:
    """All that the processes inherit: nothing of the caller's shell but its language and where programs are."""
    return offline.variables() | {
        "PATH": search_path(),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOME": str(run.path),
        "GATE": gate,
        "GATE_HOME": str(GATE_HOME),
        # As root, Nginx would hand its work to an account that cannot read the checkout either.
        "NGINX_GLOBALS": "user root;" if account.pw_uid == 0 else "",
    }


def _watch(site: Site, workers: Collection[str]) -> Callable[[], None]:
    """A look that raises Refusal, with the end of its log, for a process that ends instead of running.

    That is one that supervisord has given up, and a worker that has lost a process since an earlier look: gunicorn
    would start it again for ever.
    """
    watched = set(workers) or {worker.name for worker in site.plan.workers}
    seen: dict[str, set[int]] = {name: set() for name in watched}

    def look() -> None:
        for name, process in supervisor.processes(site.run).items():
            alive = {process.pid, *_children(process.pid)}
            ended = name in watched and seen[name] - alive
            if ended or (process.state == "FATAL" and name in {*watched, *supervisor.GATEWAY}):
                raise Refusal(f"{name} ends as soon as it starts; its log ends with:", *_log_end(site.run, name))
            if name in watched:
                seen[name] = alive

    return look


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _log_end(run: RunDir, name: str) -> list[str]:
    log = run.logs / f"{name}.log"
    return log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []
