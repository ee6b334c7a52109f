"""What the local runtime needs of this machine: what must hold before a start, and the checks of `make doctor`."""

import shutil
import subprocess
from collections.abc import Collection
from functools import partial

from scripts.base.errors import CommandError
from scripts.base.programs import search_path
from scripts.host.environments import VENVS, Environment
from scripts.host.packages import NGINX, ensurepip_package, has_ensurepip, installable, require_without_unit
from scripts.host.venv import is_current
from scripts.runtimes.checks import check_capacity, check_writable
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.local import orphans
from scripts.runtimes.preflight import listen_faults, memory_faults
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.runtime import Checks

KEY_MODULE = "http_secure_link_module"


def require(planned: Deployment) -> None:
    """Install Nginx if it is missing; raise CommandError if this machine cannot serve `planned`."""
    cluster = planned.cluster
    if faults := listen_faults(cluster.gateway.listen):
        raise CommandError(*(f"{cluster.source}: {fault}" for fault in faults))
    require_without_unit(NGINX, "nginx.service")
    if cluster.access.keys and (fault := _key_module_fault()):
        raise CommandError(fault)
    if faults := memory_faults(planned.plan, planned.hardware, planned.models, cluster.settings):
        raise CommandError(*faults)


def checks(run: RunDir, deployment: Deployment | None, environments: Collection[Environment]) -> Checks:
    """Return check name -> check; `deployment` is None if the cluster cannot be planned."""
    nvidia = deployment is not None and bool(deployment.hardware.gpus)
    complete = all(is_current(environment, nvidia) for environment in environments)
    folders = {run.path: "set another with RUN_DIR="}
    if not complete:
        folders[VENVS] = "unpack the kit where it can be written"
    independent: Checks = {
        "folders": partial(check_writable, folders),
        "nginx": _nginx,
        "packages": partial(_packages, complete),
    }
    if deployment is None:
        return independent
    ports = [deployment.cluster.port, *deployment.ports.values()]
    capacity: Checks = {"ports and memory": lambda: check_capacity(deployment, ports, running=bool(orphans.find(run)))}
    return {**capacity, **independent}


def _key_module_fault() -> str | None:
    """Return why this machine's Nginx cannot judge keys; None if it can."""
    if KEY_MODULE in (built := _nginx_says("-V")):
        return None
    version = built.partition("\n")[0]
    remedy = "install a build of Nginx that has it, such as Debian 12's"
    return f"{version}: found no {KEY_MODULE}, needed it for [access] keys: {remedy}"


def _nginx() -> str:
    return "not installed yet; `make up` installs it" if installable(NGINX) else _nginx_says("-v")


def _nginx_says(flag: str) -> str:
    nginx = shutil.which("nginx", path=search_path()) or "nginx"
    return subprocess.run([nginx, flag], capture_output=True, text=True).stderr.strip()


def _packages(complete: bool) -> str:
    if complete:
        return "installed"
    package = installable(ensurepip_package(), has_ensurepip)
    return f"not installed yet; `make up` installs them{f' and {package[0]}' if package else ''}"
