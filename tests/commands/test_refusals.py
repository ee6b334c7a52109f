"""What `make up` and its companions refuse, in one line for each fault, with nothing left running."""

import re
import shutil
import socket
from pathlib import Path

import pytest

from scripts.runtimes.run_directory import run_dir
from tests.commands.services import ONE_WORKER, PATIENT, make_here, processes
from tests.folders import openvino_folder
from tests.service import PHOTOS, Service, create, table


@pytest.fixture(scope="module")
def bright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small prepared model folder."""
    return openvino_folder(tmp_path_factory.mktemp("models") / "bright")


def _refused(service: Service, target: str = "up") -> list[str]:
    """The lines with which `make` refuses; nothing may be left running or half-written."""
    done = make_here(service, target)
    assert done.returncode != 0
    assert not processes(service)
    return [line.removeprefix("!! ") for line in done.stderr.splitlines() if line.startswith("!! ")]


def test_a_port_in_use_is_named(bright: Path, tmp_path: Path) -> None:
    service = create(tmp_path, table("bright", bright))
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", service.port + 1))
        holder.listen()
        assert _refused(service) == [
            f"port {service.port + 1}: already in use: stop the process that listens there, or set another port"
        ]
    assert not service.run_dir.exists()


def test_a_changed_weight_is_named_and_nothing_is_left_running(bright: Path, tmp_path: Path) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(bright, folder)
    with (folder / "model.bin").open("ab") as file:
        file.write(b"!")
    service = create(tmp_path / "service", table("bright", folder), PATIENT + ONE_WORKER)
    (line,) = _refused(service)[-1:]
    assert re.fullmatch(
        r"bright-\d is broken: changed/model.bin: sha256 is \w{64}, model.toml says \w{64}; copy the file again",
        line,
    )
    # Its logs are there still, and another runtime may serve from here now.
    assert (service.run_dir / "logs/bright-0.log").exists()
    assert run_dir(service.run_dir).runtime is None


def test_a_model_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    service = create(tmp_path, table("bright", Path("/no/such/folder")))
    assert _refused(service) == [
        f"{service.cluster}: models/0/folder: /no/such/folder: no such folder: "
        "name an existing one; is the models volume mounted?"
    ]


def test_every_fault_of_the_cluster_file_is_named_at_once(tmp_path: Path) -> None:
    service = create(tmp_path, PHOTOS, '[[servers]]\ngpu = "auto"\nworkers = 0\n')
    assert _refused(service) == [
        f'{service.cluster}: servers/0/gpu: unknown key, did you mean "gpus"?',
        f'{service.cluster}: servers/0/workers: found 0, needed "auto" or a whole number from 1',
    ]


def test_a_run_directory_too_deep_for_sockets_is_named(tmp_path: Path) -> None:
    service = create(tmp_path)
    deep = Service(service.cluster, tmp_path / ("deep" * 30), service.port)
    (line,) = _refused(deep)
    assert line.startswith(f"{deep.run_dir}: found a path that makes its socket paths longer than 107 bytes")


def test_commands_that_need_a_running_service_say_so(tmp_path: Path) -> None:
    service = create(tmp_path)
    assert _refused(service, "status") == [f"no gateway answers at {service.endpoint}: run `make up`"]
    assert _refused(service, "rollout") == ["nothing is running here: run `make up` first"]
    assert _refused(service, "logs") == [f"{service.run_dir}/logs: no logs: nothing was started here, run `make up`"]
