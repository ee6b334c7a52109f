"""What all tests share: one running service of `photos`."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from nginx.gate.__main__ import INTERVAL
from tests.service import NO_DRAIN, Service, create

# The same examples every time, and no timing: these machines are shared.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

# Every service here has a gate that looks often: most of what is waited for is that it has seen a worker come or go.
os.environ.setdefault(INTERVAL, "0.2")


def pytest_configure() -> None:
    """Let what tests start hear interrupts and hang-ups, which `nohup` and a shell's `&` have all of it ignore.

    A signal that is caught here is as usual again in every program that is started; one that is ignored is not.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The photos model behind Nginx, as `make up` starts it. Its logs are printed when a test has failed."""
    running = create(tmp_path_factory.mktemp("service"), extra=NO_DRAIN)
    running.up()
    yield running
    running.down()


@pytest.fixture(scope="session")
def endpoint(service: Service) -> str:
    """The gateway's address."""
    return service.endpoint


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the service's logs to the report of a test that failed on it."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    running = item.funcargs.get("service") if isinstance(item, pytest.Function) else None
    if report.failed and isinstance(running, Service):
        report.sections.append(("service logs", running.logs()))
