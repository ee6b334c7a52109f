"""`make doctor`: what this machine has and what it lacks, each with its remedy. Changes nothing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from scripts import docker, supervisor
from scripts.cluster import load_cluster
from scripts.console import say
from scripts.cores import reason
from scripts.environments import SERVE
from scripts.hardware import format_cpu_list, read_hardware
from scripts.packages import NGINX, on_path, search_path
from scripts.preflight import memory_faults, port_faults
from scripts.refusal import Refusal
from scripts.rundir import RunDir
from scripts.site import prepare

PLAN, ROOM = "plan", "ports and memory"


def examine(cluster_file: Path, run: RunDir) -> None:
    """Print one line a check; raises Refusal when any says no."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", _python),
        ("nginx", _nginx),
        ("hardware", _hardware),
        (PLAN, lambda: _plan(cluster_file, run)),
        (ROOM, lambda: _room(cluster_file, run)),
        ("packages", _packages),
        ("docker", _docker),
    ]
    failed: list[str] = []
    for name, check in checks:
        hopeless = name == ROOM and PLAN in failed  # without a plan it could only say the same again
        if not hopeless and not _passes(name, check):
            failed.append(name)
    if failed:
        raise Refusal(f"to mend before `make up`: {', '.join(failed)}")
    say("this machine can serve")


def _passes(name: str, check: Callable[[], str]) -> bool:
    try:
        say(f"ok  {name}: {check()}")
    except Refusal as refusal:
        for line in refusal.lines:
            say(f"no  {name}: {line}")
        return False
    return True


def _python() -> str:
    return ".".join(map(str, sys.version_info[:3]))  # too old a one gets no further than scripts/__init__.py


def _nginx() -> str:
    if not on_path("nginx"):
        if os.geteuid() == 0 and shutil.which("apt-get"):
            return "not installed yet; `make up` installs it"
        raise Refusal(f"found none: run as root: apt-get install --no-install-recommends {NGINX['nginx']}")
    nginx = shutil.which("nginx", path=search_path()) or "nginx"
    return subprocess.run([nginx, "-v"], capture_output=True, text=True).stderr.strip()


def _hardware() -> str:
    hardware = read_hardware()
    gpus = ", ".join(gpu.name for gpu in hardware.gpus) or "no GPU"
    notes = "".join(f"; {note}" for note in hardware.notes)
    usable = format_cpu_list([cpu.number for cpu in hardware.cpus])
    return f"CPUs {usable}, {hardware.memory_bytes // 1_000_000} MB of memory, {gpus}{notes}"


def _plan(cluster_file: Path, run: RunDir) -> str:
    prepared = prepare(load_cluster(cluster_file), run)
    workers = ", ".join(
        f"{worker.name} on {worker.slot.gpu or 'CPU ' + format_cpu_list(worker.slot.cpus)}"
        for worker in prepared.plan.workers
    )
    server = prepared.cluster.servers[0]
    left_open = server.workers is None and server.cores_per_worker is None
    if left_open and not all(worker.slot.gpu for worker in prepared.plan.workers):
        return f"{workers}; {reason(prepared.cluster.profile, prepared.cores)}"
    return workers


def _room(cluster_file: Path, run: RunDir) -> str:
    prepared = prepare(load_cluster(cluster_file), run)
    faults = memory_faults(prepared.plan, prepared.hardware, prepared.models)
    ports = [prepared.cluster.port, *(worker.port for worker in prepared.plan.workers)]
    running = supervisor.is_running(run)
    if faults := faults + ([] if running else port_faults(ports)):
        raise Refusal(*faults)
    return f"enough memory, ports {ports[0]} to {ports[-1]} {'ours' if running else 'free'}"


def _docker() -> str:
    fault = docker.engine_fault()
    return f"`make up` takes the local runtime: {fault}" if fault else "`make up` takes the compose runtime"


def _packages() -> str:
    return "installed" if SERVE.python.exists() else "not installed yet; `make up` installs them"
