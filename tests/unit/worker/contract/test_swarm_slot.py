"""From the slot that Swarm names to the variables that a worker reads."""

import json
from pathlib import Path

import pytest

from worker.contract.swarm_slot import SlotError, assigned

TABLE = {"a-cpu0": {"cpus": "0-3", "gpu": ""}, "a-gpu0": {"cpus": "4-7", "gpu": "GPU-1a2b"}}


ENVIRON = {"DOCKER_RESOURCE_SLOT": "a-gpu0", "WANWU_MODEL": "photos"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "slots.json"
    file.write_text(json.dumps({"server": "a", "slots": TABLE}))
    return file


def fault(file: Path, slot: str = "a-gpu0") -> str:
    with pytest.raises(SlotError) as caught:
        assigned(ENVIRON | {"DOCKER_RESOURCE_SLOT": slot}, file)
    return str(caught.value)


def test_a_task_gets_the_cpus_gpu_and_name_of_its_slot(file: Path) -> None:
    assert assigned(ENVIRON, file) == {
        "WANWU_SLOT": "a-gpu0", "WANWU_CPUS": "4-7", "WANWU_GPU": "GPU-1a2b", "WANWU_WORKER": "photos-a-gpu0",
    }  # fmt: skip


def test_without_swarm_no_slot_is_assigned() -> None:
    assert assigned({}, Path("/nonexistent")) == {}


def test_a_slot_that_the_server_does_not_know_is_refused(file: Path) -> None:
    assert fault(file, "a-cpu9") == (
        f"{file}: found the slots a-cpu0, a-gpu0, needed a-cpu9, which Swarm assigned to this worker: "
        "run scripts/init-server.sh on this server"
    )


def test_a_missing_file_is_refused() -> None:
    assert fault(Path("/nonexistent")) == (
        "/nonexistent: No such file or directory: needed this server's slots: run scripts/init-server.sh on this server"
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"slots": ["a-cpu0"]}', '{"slots": {"a-cpu0": {}}}'])
def test_a_file_of_another_shape_is_refused_in_one_line(file: Path, text: str) -> None:
    file.write_text(text)
    message = fault(file)
    assert message.startswith(f"{file}: cannot be read as a list of slots: ")
    assert message.endswith(": run scripts/init-server.sh on this server")
    assert "\n" not in message
