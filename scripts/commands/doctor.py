"""`make doctor`: all that `make up` would install or refuse here, each with its remedy. Changes nothing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from scripts.base.console import say
from scripts.base.errors import Refusal
from scripts.base.programs import search_path
from scripts.cluster.config import load_cluster
from scripts.cluster.cores import reason
from scripts.cluster.hardware import read_hardware
from scripts.cluster.plan import Slot
from scripts.host import docker
from scripts.host.environments import HOME, SERVE, SERVE_TORCH, is_made
from scripts.host.packages import NGINX, ensurepip_package, has_ensurepip, installable
from scripts.runtimes.choice import MODULES, Runtime, plan
from scripts.runtimes.deployment import Site
from scripts.runtimes.local import orphans
from scripts.runtimes.preflight import memory_faults, port_faults
from scripts.runtimes.run_directory import RunDir
from worker.contract.cpu_list import format_cpu_list

# After one of these that fails the next could only say the same again.
CHAIN = ("runtime", "hardware", "plan", "ports and memory")


def examine(cluster_file: Path, run: RunDir, runtime: Runtime) -> None:
    """Print one line a check; raise Refusal when any fails."""
    own = Examination(cluster_file, run, runtime)
    failed: list[str] = []
    for name, check in own.checks().items():
        hopeless = name in CHAIN and not set(CHAIN[: CHAIN.index(name)]).isdisjoint(failed)
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


@dataclass(frozen=True)
class Examination:
    """The checks; each returns what was found, or raises Refusal with the remedy."""

    file: Path
    run: RunDir
    runtime: Runtime

    def checks(self) -> dict[str, Callable[[], str]]:
        """Return the checks that the runtime needs, by name, in the order in which they are shown."""
        checks = {"python": _python, "runtime": self.chosen, "hardware": _hardware, "plan": self.planned}
        if not self._is("swarm"):
            checks |= {"ports and memory": self.room, "folders": self.folders}
        if self._is("local"):
            checks |= {"nginx": _nginx, "packages": self.packages}
        return checks

    @cached_property
    def site(self) -> Site:
        return plan(self.runtime, load_cluster(self.file), self.run)

    def chosen(self) -> str:
        (name,) = (name for name in MODULES if self._is(name))
        fault = docker.engine_fault()
        if fault and name != "local":
            raise Refusal(fault)
        return f"`make up` takes the {name} runtime{f': {fault}' if fault else ''}"

    def planned(self) -> str:
        site = self.site
        workers = ", ".join(f"{worker.name} on {_place(worker.slot)}" for worker in site.plan.workers)
        server = site.cluster.servers[0]
        left_open = server.workers is None and server.cores_per_worker is None
        if self._is("swarm") or not left_open or all(worker.slot.gpu for worker in site.plan.workers):
            return workers
        return f"{workers}; {reason(site.cluster.profile, site.cores)}"

    def room(self) -> str:
        site = self.site
        workers = [worker.port for worker in site.plan.workers] if self._is("local") else []
        ports = [site.cluster.port, *workers]
        running = bool(orphans.find(self.run)) if self._is("local") else self.runtime.is_running(self.run)
        faults = memory_faults(site.plan, site.hardware, site.models) + ([] if running else port_faults(ports))
        if faults:
            raise Refusal(*faults)
        shown = f"ports {ports[0]} to {ports[-1]}" if workers else f"port {ports[0]}"
        return f"enough memory, {shown} {'ours' if running else 'free'}"

    def folders(self) -> str:
        needed = {self.run.path: "give another with RUN_DIR="}
        if self._is("local") and self._unmade():
            needed[HOME] = "unpack the kit where it can be written"
        for folder, remedy in needed.items():
            nearest = next(path for path in (folder, *folder.parents) if path.exists())
            if not os.access(nearest, os.W_OK, effective_ids=True):
                raise Refusal(f"{nearest}: found no right to write there, needed it for {folder}: {remedy}")
        return f"{' and '.join(map(str, needed))} can be written"

    def packages(self) -> str:
        if not self._unmade():
            return "installed"
        own = installable(ensurepip_package(), has_ensurepip)
        return f"not installed yet; `make up` installs them{f', and {own[0]} for it' if own else ''}"

    def _is(self, name: str) -> bool:
        return self.runtime is MODULES[name]

    def _unmade(self) -> bool:
        """Whether a Python environment is missing that the models need, as far as these can be read."""
        try:
            torch, nvidia = any(model.torch for model in self.site.models.values()), bool(self.site.hardware.gpus)
        except Refusal:
            torch = nvidia = False
        return not all(is_made(environment, nvidia) for environment in (SERVE, *([SERVE_TORCH] if torch else [])))


def _python() -> str:
    return ".".join(map(str, sys.version_info[:3]))  # too old a one gets no further than scripts/__init__.py


def _nginx() -> str:
    if installable(NGINX):
        return "not installed yet; `make up` installs it"
    nginx = shutil.which("nginx", path=search_path()) or "nginx"
    return subprocess.run([nginx, "-v"], capture_output=True, text=True).stderr.strip()


def _hardware() -> str:
    hardware = read_hardware()
    gpus = ", ".join(gpu.name for gpu in hardware.gpus) or "no GPU"
    notes = "".join(f"; {note}" for note in hardware.notes)
    usable = format_cpu_list([cpu.number for cpu in hardware.cpus])
    return f"CPUs {usable}, {hardware.memory_bytes // 1_000_000} MB of memory, {gpus}{notes}"


def _place(slot: Slot) -> str:
    return slot.gpu or (f"CPU {format_cpu_list(slot.cpus)}" if slot.cpus else slot.name)
