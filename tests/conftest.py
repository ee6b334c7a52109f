"""Fixtures for all tests: one running service of `photos`."""

import os
import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from nginx.gate.__main__ import INTERVAL_VARIABLE
from tests.service import NO_DRAIN, Service, create

# The same examples every time, and no deadline: these machines are shared.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# Let torch's threads sleep while they wait for each other: on cores that several lanes share, they would spend most of
# their time spinning. OpenMP reads this when torch is imported, here and in every process that the tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Let the programs that the tests start keep compiled modules, which some container images forbid: each of some thousand
# processes would compile the kit's modules for itself.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Let `make` start Python itself: a version manager's `python3` is a shell script, which takes as long as a command.
os.environ.setdefault("PYTHON", f"{sys.base_prefix}/bin/python3")

# Let the gate of every service probe often: most waits are for the gate to notice that a worker came or went. Not more
# often: a worker that wakes up for a probe has cold caches, and five a second took it a tenth of a core.
os.environ.setdefault(INTERVAL_VARIABLE, "0.5")


def pytest_configure() -> None:
    """Let the programs that tests start receive interrupts and hang-ups, which `nohup` and a shell's `&` would ignore.

    A signal that is caught here has its default action again in a started program; an ignored one stays ignored.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run the photos model behind Nginx, as `make up` starts it."""
    running = create(tmp_path_factory.mktemp("service"), extra=NO_DRAIN)
    running.up()
    yield running
    running.down()


@pytest.fixture(scope="session")
def endpoint(service: Service) -> str:
    """Return the gateway's address."""
    return service.endpoint


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the service's logs to the report of a failed test that used it."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    running = item.funcargs.get("service") if isinstance(item, pytest.Function) else None
    if report.failed and isinstance(running, Service):
        report.sections.append(("service logs", running.logs()))
