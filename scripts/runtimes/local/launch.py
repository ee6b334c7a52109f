"""Start and stop the processes of a service: under an account of their own, by supervisord or by systemd."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.base.programs import search_path
from scripts.cluster.config import ROOT
from scripts.host import offline
from scripts.host.environments import SERVE, SERVE_TORCH
from scripts.runtimes import unit_file
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.local import boot_unit, layout, orphans, supervisor
from scripts.runtimes.local.accounts import check_access, prefix, service_account
from scripts.runtimes.local.files import MEMBERS
from scripts.runtimes.run_directory import RunDir
from worker.contract.cpu_list import format_cpu_list

GATE, GATE_HOME = ("-m", "gate"), ROOT / "nginx"
INHERITED_VARIABLES = ("LANG", "GATE_INTERVAL")


def start(
    deployment: Deployment, files: Mapping[str, str], write_secrets: Callable[[], object], by_systemd: bool
) -> None:
    """Write `files` and the secrets, and start the processes that they name; raise CommandError if that fails."""
    run, python, workers = deployment.run, SERVE.python, deployment.plan.workers
    account = service_account()
    say("   slots: " + ", ".join(f"{worker.name} on CPU {format_cpu_list(worker.slot.cpus)}" for worker in workers))
    layout.create(run, files, account)
    write_secrets()
    environ, as_account = _environ(run), prefix(account, visible(deployment), [deployment.cluster.port], len(workers))
    manifests = [model.folder / "model.toml" for model in deployment.cluster.models]
    check_access(as_account, python, [*manifests, ROOT / "worker/app.py"], run.path)
    result = subprocess.run([*as_account, *_check(run)], cwd=GATE_HOME, env=environ, capture_output=True, text=True)
    if result.returncode:
        raise CommandError(f"the gate rejected its list of workers: {result.stderr.strip()}")
    step("starting workers, Nginx and the gate")
    if by_systemd:
        unit_file.enable(run, unit(deployment))
        boot_unit.start(run)
    else:
        supervisor.start(run, python, as_account, environ)


def _check(run: RunDir) -> list[str | Path]:
    """Return the command by which the gate reads its list of workers, and writes the first one for Nginx."""
    members = run.path / MEMBERS
    return [SERVE.python, *GATE, "init", "--members", members, "--out", members.parent]


def unit(deployment: Deployment) -> str:
    """Return the unit by which systemd starts and stops what `start` starts."""
    environ = _environ(deployment.run)
    return boot_unit.text(deployment, visible(deployment), environ, _check(deployment.run), SERVE.python, GATE_HOME)


def visible(deployment: Deployment) -> set[Path]:
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


def stop(run: RunDir) -> None:
    """Stop all processes of the service, those too that supervisord may have lost."""
    unit_file.stop(run)
    supervisor.stop(run)
    orphans.end(run)
