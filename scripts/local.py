"""The local runtime: workers, Nginx and gate under supervisord, on this machine and without Docker."""

import os
import pwd
import subprocess
from pathlib import Path

from scripts import render, supervisor
from scripts.accounts import NOBODY, choose_account
from scripts.cluster import ROOT
from scripts.console import say, step, warn
from scripts.environments import SERVE, SERVE_TORCH, ensure
from scripts.hardware import format_cpu_list
from scripts.packages import NGINX, require, search_path
from scripts.preflight import memory_faults, port_faults
from scripts.refusal import Refusal
from scripts.rolling import replace_each
from scripts.rundir import RunDir
from scripts.site import CPU_ONLY, Site
from scripts.waiting import wait_in
from worker.settings import offline_variables

LOG_LINES = 12
GUNICORN = ("-m", "gunicorn", "-c", "worker/gunicorn.conf.py", "worker.app:create_app()")


def up(site: Site) -> None:
    """Bring everything up and wait until every worker answers; when it fails, nothing is left running."""
    require(NGINX)
    nvidia = bool(site.hardware.gpus)
    python = ensure(SERVE, nvidia)
    pythons = {
        name: python if model.engine == CPU_ONLY else ensure(SERVE_TORCH, nvidia) for name, model in site.models.items()
    }
    rendered = _rendered(site, pythons)
    if faults := memory_faults(site.plan, site.hardware, site.models):
        raise Refusal(*faults)
    if supervisor.is_running(site.run):
        if site.run.holds(rendered):
            step("already up")
            return _wait(site)
        step("the plan changed: ending what runs")
        supervisor.stop(site.run, python)
    if faults := port_faults([site.cluster.port, *(worker.port for worker in site.plan.workers)]):
        raise Refusal(*faults)
    try:
        _start(site, python, rendered)
        _wait(site)
    except (Refusal, KeyboardInterrupt):
        supervisor.stop(site.run, python)
        raise
    return None


def down(run: RunDir) -> None:
    """Stop everything and take the run directory away."""
    if supervisor.is_running(run):
        step("stopping: what is in flight is answered first")
        supervisor.stop(run, SERVE.python)
    elif supervisor.orphans(run):
        step("supervisord is gone: ending what it left behind")
        supervisor.end_orphans(run)
    else:
        say("nothing is running")
    run.remove()


def rollout(site: Site) -> None:
    """Replace the workers one at a time, as replace_each says."""
    _require_running(site.run)

    def replace(worker: str) -> None:
        supervisor.control(site.run, SERVE.python, "restart", f"{render.GROUP}:{worker}")

    replace_each(site, replace, lambda: _wait(site))


def follow_logs(run: RunDir, lines: int, follow: bool) -> None:
    """Show the end of every log, and with `follow` all that comes after."""
    logs = sorted(run.logs.glob("*.log"))
    if not logs:
        raise Refusal(f"{run.logs}: no logs: nothing was started here, run `make up`")
    os.execvp("tail", ["tail", f"--lines={lines}", *(["--follow=name"] if follow else []), *map(str, logs)])  # noqa: S606


def _rendered(site: Site, pythons: dict[str, Path]) -> dict[str, str]:
    commands = {name: (python, *GUNICORN) for name, python in pythons.items()}
    return {
        "runtime": "local\n",
        "rendered/programs.conf": render.programs(site.cluster, site.plan, commands, ROOT),
        "gateway/rendered/members.json": render.members(
            site.cluster, site.plan, render.addresses(site.cluster, site.plan)
        ),
        "gateway/rendered/listen.conf": render.listen(site.cluster.port),
    }


def _start(site: Site, python: Path, rendered: dict[str, str]) -> None:
    folders = [model.folder / "model.toml" for model in site.cluster.models]
    site.run.path.parent.mkdir(parents=True, exist_ok=True)
    account = choose_account(python, [*folders, ROOT / "worker/app.py"], site.run.path.parent)
    say("   slots: " + ", ".join(f"{w.name} on CPU {format_cpu_list(w.slot.cpus)}" for w in site.plan.workers))
    if account.pw_uid == 0:
        warn(f"running as root: account {NOBODY} cannot use {ROOT}, {site.run.path} or {python.resolve()}")
    site.run.create(rendered, account)
    gate = [python, ROOT / "nginx/gate.py"]
    out = site.run.members.parent
    made = subprocess.run([*gate, "init", "--members", site.run.members, "--out", out], capture_output=True, text=True)
    if made.returncode:
        raise Refusal(f"the gate refuses its members: {made.stderr.strip()}")
    for file in out.iterdir():
        os.chown(file, account.pw_uid, account.pw_gid)
    step("starting workers, Nginx and the gate")
    supervisor.start(site.run, python, account, _environ(site.run, account, " ".join(f"'{part}'" for part in gate)))


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


def _wait(site: Site) -> None:
    wait_in(site, lambda: _refuse_dead(site.run))


def _refuse_dead(run: RunDir) -> None:
    """Raise Refusal, with the end of its log, when supervisord has given a process up."""
    dead = [name for name, state in supervisor.states(run, SERVE.python).items() if state == "FATAL"]
    if dead:
        raise Refusal(f"{dead[0]} ends as soon as it starts; its log ends with:", *_log_end(run, dead[0]))


def _log_end(run: RunDir, name: str) -> list[str]:
    log = run.logs / f"{name}.log"
    return log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []


def _require_running(run: RunDir) -> None:
    if not supervisor.is_running(run):
        raise Refusal("nothing is running here: run `make up` first")
