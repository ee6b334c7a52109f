"""`make test`: lint, type-check and run all tests, after installing what they need."""

import os
from dataclasses import dataclass
from typing import Annotated

from scripts.base.options import Flag
from scripts.cluster.config import ROOT
from scripts.cluster.hardware import read_hardware
from scripts.commands import Command, ServiceOptions
from scripts.host import checks
from scripts.host.environments import DEV, SERVE
from scripts.host.lanes import run_in_parallel
from scripts.host.packages import LOAD_GENERATOR, NGINX, TEST_TOOLS, require
from scripts.host.venv import ensure

UNIT = "tests/unit"
BROWSER = "browser"
# Folders whose tests share nothing but the cores, a lane each: `system` uses this machine's Docker engine, `cluster`
# and `bootstrap` start their own, the others need none. Those that take longest start first, so that no core waits at
# the end.
LANES = ("commands", "local", "cluster", "bootstrap", "system", BROWSER, "parts", "chaos", "unit")
# A browser ends its requests with ERR_NETWORK_CHANGED when an interface comes or goes, and other lanes make interfaces.
NETWORK = """
ip link set lo up
ip link add eth0 type veth peer name peer
ip address add 192.0.2.1/24 dev eth0
ip link set eth0 up
exec "$@"
"""
OWN_NETWORK = ("unshare", "--net", "sh", "-ec", NETWORK, "sh")
REPORTS = ROOT / ".pytest_cache"
SLOWEST = 30  # number of tests in each lane whose durations pytest lists


@dataclass(frozen=True)
class Options:
    """Arguments for pytest; with any, only pytest runs, without lint and types."""

    arguments: Annotated[tuple[str, ...], Flag("for pytest, after --")] = ()


def run(service: ServiceOptions, options: Options) -> None:
    """Lint, type-check and test; raise CommandError if anything fails."""
    require(NGINX | LOAD_GENERATOR | TEST_TOOLS)
    nvidia = bool(read_hardware().gpus)
    ensure(SERVE, nvidia)
    python = ensure(DEV, nvidia)
    if options.arguments:
        checks.run("pytest", [python, "-m", "pytest", *options.arguments])
        return
    checks.run_checks(python.parent)
    types = checks.full_command(checks.CHECKS[checks.TYPES], python.parent)
    tests = {lane: [python, *pytest_arguments(lane), f"tests/{lane}"] for lane in LANES}
    if os.geteuid() == 0:
        tests[BROWSER] = [*OWN_NETWORK, *tests[BROWSER]]
    run_in_parallel({**tests, "types": types}, REPORTS)


def pytest_arguments(lane: str) -> list[str]:
    """Return pytest's arguments for a lane: print the slowest tests, and write all durations to a JUnit file."""
    return ["-m", "pytest", f"--durations={SLOWEST}", f"--junitxml={REPORTS}/junit-{lane}.xml"]


COMMAND = Command("run lint, type checks and tests, after installing what they need", Options, run)
