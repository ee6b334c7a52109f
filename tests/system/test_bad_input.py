"""What keeps a service from starting in containers: one clear line each, and nothing is left running."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT
from scripts.cluster.hardware import read_hardware
from scripts.host import docker, images
from tests.service import Service, bare_environment
from tests.system.conftest import ServiceFactory
from tests.system.containers import left_over, said
from tests.unprivileged_user import UNPRIVILEGED
from tests.wait import until
from worker.contract.cpu_list import format_cpu_list

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another account or start an engine")


def refused(service: Service, target: str = "up") -> list[str]:
    """The lines with which `make` refuses; nothing may be left running or half-written."""
    lines = said(service.make(target))
    assert not service.run_dir.exists()
    return lines


def test_no_engine(kitchen: ServiceFactory, slow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = kitchen.make(slow)
    with monkeypatch.context() as patch:
        patch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
        lines = refused(service)
    assert lines == [
        "found no Docker engine that answers (Cannot connect to the Docker daemon at unix:///nonexistent.sock. "
        "Is the docker daemon running?): start it, or set RUNTIME=local"
    ]
    assert left_over(service) == []


@only_root
def test_an_account_that_may_not_use_the_socket(slow: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        # An account of its own reads neither root's folders nor, perhaps, this checkout.
        for name in ("scripts", "worker", "compose", "nginx"):
            shutil.copytree(ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "Makefile", folder)
        command = ["make", "--no-print-directory", "up", "RUNTIME=compose", "PYTHON=/usr/bin/python3"]
        done = subprocess.run(
            command, cwd=folder, user=UNPRIVILEGED.pw_uid, group=UNPRIVILEGED.pw_gid, extra_groups=[], text=True,
            capture_output=True, env=bare_environment() | {"HOME": folder},
        )  # fmt: skip
        assert not (Path(folder) / "run").exists()
    assert said(done) == [
        "found a Docker engine whose socket this account may not use: join the group docker, or run as root"
    ]


# No engine or plugin that old is at hand: these programs stand in for `docker`, and give nothing but its version.
@pytest.mark.parametrize(
    ("version", "compose", "line"),
    [
        ("20.10.24", "exit 1", "found Docker 20.10.24, needed 25.0 or newer: upgrade it"),
        ("28.5.2", "exit 1", "found Docker without Compose v2, needed 2.24 or newer: install its plugin"),
        ("28.5.2", "echo 2.6.1", "found Compose 2.6.1, needed 2.24 or newer: upgrade its plugin"),
    ],
)
def test_an_engine_or_plugin_that_is_too_old(
    kitchen: ServiceFactory,
    slow: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    compose: str,
    line: str,
) -> None:
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncase "$1" in\nversion) echo {version} ;;\ncompose) {compose} ;;\nesac\n')
    program.chmod(0o755)
    service = kitchen.make(slow)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        lines = refused(service)
    assert lines == [line]


def test_a_port_in_use(kitchen: ServiceFactory, slow: Path) -> None:
    service = kitchen.make(slow)
    with socket.create_server(("127.0.0.1", service.port)):
        lines = refused(service)
    assert lines == [f"port {service.port}: already in use: stop the process that listens there, or set another port"]
    assert left_over(service) == []


@pytest.mark.parametrize("there", [False, True])
def test_a_model_folder_that_is_missing_or_empty(kitchen: ServiceFactory, tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "model"
    if there:
        folder.mkdir()
    service = kitchen.make(folder)
    fault = {
        True: "found an empty folder, needed a model folder: copy one there, or mount the models volume",
        False: "no such folder: name an existing one; is the models volume mounted?",
    }
    assert refused(service) == [f"{service.cluster}: models/0/folder: {folder}: {fault[there]}"]
    assert left_over(service) == []
    assert folder.exists() == there


def test_cpus_that_the_machine_lacks(kitchen: ServiceFactory, slow: Path) -> None:
    service = kitchen.make(slow, extra='[[servers]]\ncpus = "0,4095"\n')
    usable = format_cpu_list(cpu.number for cpu in read_hardware().cpus)
    assert refused(service) == [
        f'{service.cluster}: servers/0/cpus: found 4095, not on server "this", needed some of {usable}'
    ]
    assert left_over(service) == []


def test_an_unknown_runtime(kitchen: ServiceFactory, slow: Path) -> None:
    service = replace(kitchen.make(slow), runtime="podman")
    assert refused(service) == ["RUNTIME: found 'podman', needed one of local, compose, swarm"]


def test_commands_that_need_a_running_service_say_so(kitchen: ServiceFactory, slow: Path) -> None:
    service = kitchen.make(slow)
    assert refused(service, "status") == [f"no gateway answers at {service.endpoint}: run `make up`"]
    assert refused(service, "rollout") == ["nothing is running here: run `make up` first"]
    assert refused(service, "logs") == [f"{service.run_dir}: no logs: nothing was started here, run `make up`"]
    assert service.make("down").stdout == "nothing is running\n"


@pytest.fixture
def bare_engine(tmp_path: Path) -> Iterator[str]:
    """The address of a second engine, which has no image and, in a network of its own, no way to a registry."""
    address = f"unix://{tmp_path}/docker.sock"
    # Without a network of its own it would take away the bridge of the engine that serves here.
    command = ["unshare", "--net", "dockerd", f"--host={address}", "--bridge=none", "--containerd-namespace=wanwu-bare"]
    folders = [f"--{name}={tmp_path / name}" for name in ("data-root", "exec-root", "pidfile")]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([*command, *folders], stdout=log, stderr=log)
    try:
        asked = ["docker", "--host", address, "version"]
        until("it answers", lambda: subprocess.run(asked, capture_output=True).returncode == 0)
        yield address
    finally:
        process.terminate()
        process.wait()


@only_root
def test_no_image_and_no_registry(
    kitchen: ServiceFactory, slow: Path, bare_engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = kitchen.make(slow)
    with monkeypatch.context() as patch:
        patch.setenv("DOCKER_HOST", bare_engine)
        lines = refused(service)
        assert docker.run(["ps", "--all", "--quiet"]) == ""
        names = f"{images.GATEWAY.reference}, {images.WORKERS['prepared'].reference}"
    assert lines == [
        f"found neither {names} nor debian:bookworm-slim to build from, and no registry answers: "
        "`docker load` the images, or run `make base-image`"
    ]
