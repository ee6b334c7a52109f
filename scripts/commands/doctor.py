"""`make doctor`: report everything that `make up` would install or refuse here, with remedies; change nothing."""

import sys
from collections.abc import Callable
from functools import partial

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.cluster.hardware import read_hardware
from scripts.cluster.schema import Tls
from scripts.commands import Command, NoOptions, ServiceOptions
from scripts.host import certificates
from scripts.runtimes.choice import choose, count_servers
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.run_directory import run_dir
from worker.contract.cpu_list import format_cpu_list


def run(service: ServiceOptions, options: NoOptions) -> None:
    """Print a line for each check; raise CommandError if any fails."""
    directory = run_dir(service.run_dir)
    runtime = choose(service.runtime, directory, count_servers(service.cluster))
    failed: list[str] = []

    def passes(name: str, check: Callable[[], str]) -> bool:
        passed = _passes(name, check)
        failed.extend([] if passed else [name])
        return passed

    planned: list[Deployment] = []

    def plan() -> str:
        planned.append(runtime.plan(service.load_cluster(), directory))
        return planned[0].describe()

    passes("python", _python)
    # Each of these needs the one before; after a failure it would only repeat the same fault.
    for name, check in {"runtime": runtime.check_choice, "hardware": _hardware, "plan": plan}.items():
        if not passes(name, check):
            break
    if planned and (tls := planned[0].cluster.tls).enabled:
        passes("certificate", partial(_certificate, tls))
    for name, check in runtime.checks(directory, planned[0] if planned else None).items():
        passes(name, check)
    if failed:
        raise CommandError(f"to fix before `make up`: {', '.join(failed)}")
    say("this machine can serve")


def _passes(name: str, check: Callable[[], str]) -> bool:
    try:
        say(f"ok  {name}: {check()}")
    except CommandError as error:
        for line in error.lines:
            say(f"no  {name}: {line}")
        return False
    return True


def _python() -> str:
    return ".".join(map(str, sys.version_info[:3]))  # scripts/__init__.py refuses an older Python before this runs


def _certificate(tls: Tls) -> str:
    return "; ".join([certificates.describe(tls), *certificates.warnings(tls)])


def _hardware() -> str:
    hardware = read_hardware()
    gpus = ", ".join(gpu.name for gpu in hardware.gpus) or "no GPU"
    notes = "".join(f"; {note}" for note in hardware.notes)
    usable = format_cpu_list([cpu.number for cpu in hardware.cpus])
    return f"CPUs {usable}, {hardware.memory_bytes // 1_000_000} MB of memory, {gpus}{notes}"


COMMAND = Command("report what this machine has and what it lacks", NoOptions, run)
