"""From the slot that Swarm names to the variables that a worker reads."""

import json
from pathlib import Path

import pytest

from worker.contract.swarm_slot import SlotError, assigned

TABLE = {"a-cpu0": {"cpus": "0-3", "gpu": ""}, "a-gpu0": {"cpus": "4-7", "gpu": "GPU-1a2b"}}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "slots.json"
    file.write_text(json.dumps({"server": "a", "slots": TABLE}))
    return {"DOCKER_RESOURCE_SLOT": "a-gpu0", "WANWU_SLOTS": str(file), "WANWU_MODEL": "photos"}


def fault(environ: dict[str, str]) -> str:
    with pytest.raises(SlotError) as caught:
        assigned(environ)
    return str(caught.value)


def test_a_task_learns_its_cpus_its_gpu_and_its_name(environ: dict[str, str]) -> None:
    assert assigned(environ) == {
        "WANWU_SLOT": "a-gpu0", "WANWU_CPUS": "4-7", "WANWU_GPU": "GPU-1a2b", "WANWU_WORKER": "photos-a-gpu0",
    }  # fmt: skip


def test_without_swarm_nothing_is_given() -> None:
    assert assigned({"WANWU_SLOTS": "/nonexistent"}) == {}


def test_a_slot_that_the_server_does_not_know_is_refused(environ: dict[str, str]) -> None:
    assert fault(environ | {"DOCKER_RESOURCE_SLOT": "a-cpu9"}) == (
        f"{environ['WANWU_SLOTS']}: found the slots a-cpu0, a-gpu0, needed a-cpu9, which Swarm gave this worker: "
        "run scripts/init-server.sh on this server"
    )


def test_a_missing_file_is_refused(environ: dict[str, str]) -> None:
    assert fault(environ | {"WANWU_SLOTS": "/nonexistent"}) == (
        "/nonexistent: No such file or directory: needed this server's slots: run scripts/init-server.sh on this server"
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"slots": ["a-cpu0"]}', '{"slots": {"a-cpu0": {}}}'])
def test_a_file_of_another_shape_is_refused_in_one_line(environ: dict[str, str], text: str) -> None:
    Path(environ["WANWU_SLOTS"]).write_text(text)
    said = fault(environ)
    assert said.startswith(f"{environ['WANWU_SLOTS']}: cannot be read as a list of slots: ")
    assert said.endswith(": run scripts/init-server.sh on this server")
    assert "\n" not in said
