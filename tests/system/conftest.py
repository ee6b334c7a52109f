"""The engine that these tests need, one service that pytest-docker starts, and others that `make` does."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_docker.plugin import Services, get_docker_services

from scripts.cluster.config import load_cluster
from scripts.host import docker
from scripts.runtimes.compose import containers
from scripts.runtimes.compose.runtime import ComposeRuntime
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.run_directory import run_dir
from tests.service import LONGEST_DEADLINE, Service, create, table
from tests.system.containers import last_logs, workers_in
from tests.wait import until

NO_ENGINE = "the system tests need a Docker engine"


@pytest.fixture(scope="session", autouse=True)
def engine() -> None:
    """A Docker engine that will do. Without one there is nothing to test: in CI a failure, elsewhere a skip."""
    if fault := docker.engine_fault():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{NO_ENGINE}: {fault}", pytrace=False)
        pytest.skip(f"{NO_ENGINE}: {fault}")


@pytest.fixture(scope="session")
def slow(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder that takes seconds for a light image and no time for a dark one, as its golden one is."""
    from tests.folders import slow_folder  # imports torch, which most of these tests do without

    return slow_folder(tmp_path_factory.mktemp("models") / "slow")


@pytest.fixture(scope="module")
def described(slow: Path, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """The service that pytest-docker starts, before it is started."""
    service = compose_service(tmp_path_factory.mktemp("compose"), slow, "drain_s = 1\n")
    with service.cluster.open("a") as file:
        file.write(f"[metrics]\nport = {metrics_port(service)}\n")
    return service


def metrics_port(service: Service) -> int:
    """Return the last of the free ports that `create` found."""
    return service.port + 2


@pytest.fixture(scope="module")
def deployment(described: Service) -> Iterator[Deployment]:
    """The service's plan, with its images built and its files rendered; whatever comes of it is taken away."""
    compose = ComposeRuntime()
    planned = compose.plan(load_cluster(described.cluster), run_dir(described.run_dir))
    compose.build_artifacts(planned)
    planned.run.write(compose.render(planned))
    compose.write_secrets(planned.cluster, planned.run)
    yield planned
    # pytest-docker cleans up after what it could start; this also does after a start that failed.
    compose.down(planned.run)


@pytest.fixture(scope="module")
def docker_compose_command(deployment: Deployment) -> str:
    return f'docker compose --env-file "{containers.environment_file(deployment.run)}"'


@pytest.fixture(scope="module")
def docker_compose_file(deployment: Deployment) -> list[str]:
    return [str(file) for file in containers.files(deployment.run)]


@pytest.fixture(scope="module")
def docker_compose_project_name(deployment: Deployment) -> str:
    return containers.project(deployment.run)


@pytest.fixture(scope="module")
def docker_setup() -> list[str]:
    # Tests wait for what they need themselves: `--wait` gives up on a machine so busy that a health check fails.
    return ["up --detach"]


@pytest.fixture(scope="module")
def docker_cleanup() -> list[str]:
    return ["down --remove-orphans --volumes"]


@pytest.fixture(scope="module")
def docker_services(
    docker_compose_command: str,
    docker_compose_file: list[str],
    docker_compose_project_name: str,
    docker_setup: list[str],
    docker_cleanup: list[str],
) -> Iterator[Services]:
    """As pytest-docker has it, but for one module: idle containers cost the tests that follow time."""
    with get_docker_services(
        docker_compose_command, docker_compose_file, docker_compose_project_name, docker_setup, docker_cleanup
    ) as services:
        yield services


@pytest.fixture
def running(described: Service, deployment: Deployment, docker_services: Services) -> Service:
    """Two workers of the slow model behind the gateway, both in rotation, whatever the test before did."""
    everyone = {worker.name for worker in deployment.plan.workers}
    until("every worker is in rotation", lambda: workers_in(described) == everyone)
    return described


class ServiceFactory:
    """Makes services in `folder` that are taken down after the test, whatever came of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[Service] = []

    def make(self, model: Path, limits: str = "drain_s = 0\n", extra: str = "") -> Service:
        """Return a service of `model`, not started yet."""
        service = compose_service(self.folder / f"service-{len(self.made)}", model, limits, extra)
        self.made.append(service)
        return service

    def close(self) -> None:
        """Take down all that was made, whatever came of it."""
        with ExitStack() as stack:
            for service in self.made:
                stack.callback(ComposeRuntime().down, run_dir(service.run_dir))


@pytest.fixture
def kitchen(tmp_path: Path) -> Iterator[ServiceFactory]:
    """Services for one test; their containers' logs are printed when it fails."""
    own = ServiceFactory(tmp_path)
    yield own
    own.close()


def compose_service(folder: Path, model: Path, limits: str, extra: str = "") -> Service:
    """Return a service of `model` in containers; `extra` are more tables of the cluster's file."""
    tables = f"[limits]\n{LONGEST_DEADLINE}{limits}{extra}"
    return replace(create(folder, table(model.name, model), tables), runtime="compose")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the logs of all containers to the report of a test that failed; say once why all were skipped."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.skipped and NO_ENGINE in str(report.longrepr):
        # Skips are summed up by their place: here, not at every test.
        report.longrepr = (__file__, 0, report.longrepr[2])
    if report.failed and isinstance(item, pytest.Function):
        kitchen = item.funcargs.get("kitchen")
        shared = {given for given in item.funcargs.values() if isinstance(given, Service)}
        for service in [*shared, *(kitchen.made if isinstance(kitchen, ServiceFactory) else [])]:
            report.sections.append((f"containers of {service.run_dir}", last_logs(service)))
