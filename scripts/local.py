"""The local runtime: workers, Nginx and gate under supervisord, on this machine and without Docker."""

import os
import pwd
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from scripts import render, supervisor
from scripts.accounts import NOBODY, choose_account
from scripts.ask import get
from scripts.cluster import ROOT, Cluster
from scripts.console import say, step, warn
from scripts.environments import SERVE, SERVE_TORCH, ensure
from scripts.hardware import Hardware, format_cpu_list, read_hardware
from scripts.models import Served, read_models
from scripts.packages import NGINX, require, search_path
from scripts.plan import Plan, plan
from scripts.preflight import check
from scripts.refusal import Refusal
from scripts.rundir import RunDir
from worker.settings import offline_variables

READY_S = 300  # for a large network on the torch engine; a prepared one takes two
LOG_LINES = 12
CPU_ONLY = "openvino"  # the engine that needs neither a GPU nor torch
GUNICORN = ("-m", "gunicorn", "-c", "worker/gunicorn.conf.py", "worker.app:create_app()")


@dataclass(frozen=True)
class Local:
    """A cluster of one server, planned for this machine, in its run directory."""

    cluster: Cluster
    hardware: Hardware
    models: Mapping[str, Served]
    plan: Plan
    run: RunDir

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.cluster.port}"

    @property
    def python(self) -> Path:
        """The Python that runs supervisord, and every worker that needs no torch."""
        return SERVE.python


def prepare(cluster: Cluster, run: RunDir) -> Local:
    """Plan `cluster` for this machine; raises Refusal. Changes nothing."""
    if len(cluster.servers) > 1:
        raise Refusal(
            f"{cluster.source}: found {len(cluster.servers)} servers, the local runtime serves on one: "
            "keep one [[servers]] table"
        )
    hardware, models = read_hardware(), read_models(cluster)
    if all(model.engine == CPU_ONLY for model in models.values()):
        # A GPU that no engine here can use must not stand in for the cores.
        hardware = replace(hardware, gpus=())
    return Local(cluster, hardware, models, plan(cluster, {cluster.servers[0].name: hardware}), run)


def up(local: Local) -> None:
    """Bring everything up and wait until every worker answers; when it fails, nothing is left running."""
    require(NGINX)
    nvidia = bool(local.hardware.gpus)
    python = ensure(SERVE, nvidia)
    pythons = {
        name: python if model.engine == CPU_ONLY else ensure(SERVE_TORCH, nvidia)
        for name, model in local.models.items()
    }
    rendered = _rendered(local, pythons)
    if supervisor.is_running(local.run):
        if local.run.holds(rendered):
            step("already up")
            return _wait_ready(local)
        step("the plan changed: ending what runs")
        supervisor.stop(local.run, python)
    check(local.cluster, local.plan, local.hardware, local.models)
    try:
        _start(local, python, rendered)
        _wait_ready(local)
    except (Refusal, KeyboardInterrupt):
        supervisor.stop(local.run, python)
        raise
    return None


def down(run: RunDir) -> None:
    """Stop everything and take the run directory away."""
    if supervisor.is_running(run):
        step("stopping: what is in flight is answered first")
        supervisor.stop(run, SERVE.python)
    else:
        say("nothing is running")
    run.remove()


def rollout(local: Local) -> None:
    """Replace the workers one at a time; each drains, and the next waits until this one is in again."""
    _require_running(local.run)
    for worker in local.plan.workers:
        step(f"replacing {worker.name}")
        supervisor.control(local.run, local.python, "restart", f"{render.GROUP}:{worker.name}")
        _wait_ready(local)


def follow_logs(run: RunDir, lines: int, follow: bool) -> None:
    """Show the end of every log, and with `follow` all that comes after."""
    logs = sorted(run.logs.glob("*.log"))
    if not logs:
        raise Refusal(f"{run.logs}: no logs: nothing was started here, run `make up`")
    os.execvp("tail", ["tail", f"--lines={lines}", *(["--follow=name"] if follow else []), *map(str, logs)])  # noqa: S606


def _rendered(local: Local, pythons: dict[str, Path]) -> dict[str, str]:
    commands = {name: (python, *GUNICORN) for name, python in pythons.items()}
    return {
        "rendered/programs.conf": render.programs(local.cluster, local.plan, commands, ROOT),
        "gateway/rendered/members.json": render.members(local.cluster, local.plan),
        "gateway/rendered/listen.conf": render.listen(local.cluster.port),
    }


def _start(local: Local, python: Path, rendered: dict[str, str]) -> None:
    folders = [model.folder / "model.toml" for model in local.cluster.models]
    account = choose_account(python, [*folders, ROOT / "worker/app.py"], local.run.path.parent)
    say("   slots: " + ", ".join(f"{w.name} on CPU {format_cpu_list(w.slot.cpus)}" for w in local.plan.workers))
    if account.pw_uid == 0:
        warn(f"running as root: account {NOBODY} cannot use {ROOT}, {local.run.path} or {python.resolve()}")
    local.run.create(rendered, account)
    gate = [python, ROOT / "nginx/gate.py"]
    out = local.run.members.parent
    made = subprocess.run([*gate, "init", "--members", local.run.members, "--out", out], capture_output=True, text=True)
    if made.returncode:
        raise Refusal(f"the gate refuses its members: {made.stderr.strip()}")
    for file in out.iterdir():
        os.chown(file, account.pw_uid, account.pw_gid)
    step("starting workers, Nginx and the gate")
    supervisor.start(local.run, python, account, _environ(local.run, account, " ".join(f"'{part}'" for part in gate)))


def _environ(run: RunDir, account: pwd.struct_passwd, gate: str) -> dict[str, str]:
    """All that the processes inherit: nothing of the caller's shell but its language and where programs are."""
    return offline_variables() | {
        "PATH": search_path(),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOME": str(run.path),
        "GATE": gate,
        # As root, Nginx would hand its work to an account that cannot read the checkout either.
        "NGINX_GLOBALS": "user root;" if account.pw_uid == 0 else "",
    }


def _wait_ready(local: Local) -> None:
    """Wait until every worker is ready and the gateway says so; raises Refusal with the reason when one cannot be."""
    seen: dict[str, str] = {}
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        reports = {worker.name: get(f"http://127.0.0.1:{worker.port}/readyz")[1] for worker in local.plan.workers}
        for name, report in reports.items():
            if report.get("state", "") != seen.get(name):
                seen[name] = report.get("state", "")
                say(f"   {name} {seen[name]}") if seen[name] else None
            if seen[name] == "broken":
                raise Refusal(f"{name} is broken: {report['reason']}")
        if _all_in(local):
            return
        if dead := [name for name, state in supervisor.states(local.run, local.python).items() if state == "FATAL"]:
            raise Refusal(f"{dead[0]} ends as soon as it starts; its log ends with:", *_log_end(local.run, dead[0]))
        time.sleep(0.2)
    waiting = ", ".join(f"{name} {state or 'does not answer'}" for name, state in seen.items() if state != "ready")
    raise Refusal(f"not ready after {READY_S} seconds: {waiting or 'the gateway'}; see `make logs`")


def _all_in(local: Local) -> bool:
    """Whether the gateway sends to every worker of the plan, as it says itself."""
    workers = get(f"{local.endpoint}/status")[1].get("workers", [])
    return {worker["worker"] for worker in workers if worker["in"]} == {worker.name for worker in local.plan.workers}


def _log_end(run: RunDir, name: str) -> list[str]:
    log = run.logs / f"{name}.log"
    return log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []


def _require_running(run: RunDir) -> None:
    if not supervisor.is_running(run):
        raise Refusal("nothing is running here: run `make up` first")
