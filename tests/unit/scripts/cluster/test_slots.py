"""Tests of slots.json, which holds this server's slots."""

import json
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster, parse_cluster
from scripts.cluster.hardware import Cpu, Gpu, Hardware
from scripts.cluster.plan import plan
from scripts.cluster.schema import SCHEMA, Server
from scripts.cluster.slots import render, requested_settings
from worker.contract.swarm_slot import assigned

CPUS = tuple(Cpu(number, number, 0, 0) for number in range(8))
HARDWARE = Hardware(CPUS, (), 16_000_000_000)
GPU = Gpu("GPU-1234", "a GPU", 0, tuple(range(8)))
MODEL = '[[models]]\nname = "photos"\nfolder = "worker/photos"\n'
SERVERS = '[[servers]]\nname = "a"\naddress = "10.0.0.1"\nworkers = 2\n[[servers]]\nname = "b"\naddress = "10.0.0.2"\n'


def cluster(extra: str = "") -> Cluster:
    return parse_cluster(MODEL + extra, "cluster.toml")


def test_a_listed_server_has_the_slots_of_the_plan() -> None:
    found = json.loads(render(cluster(SERVERS), "a", HARDWARE, None))
    assert found == {
        "server": "a",
        "asked": {"workers": 2},
        "slots": {"a-cpu0": {"cpus": "0-3", "gpu": ""}, "a-cpu1": {"cpus": "4-7", "gpu": ""}},
    }
    planned = plan(cluster(SERVERS), {"a": HARDWARE, "b": HARDWARE})
    assert list(found["slots"]) == [worker.slot.name for worker in planned.workers if worker.slot.server == "a"]


def test_an_unlisted_server_has_default_slots() -> None:
    machine = Hardware(CPUS, (GPU,), 16_000_000_000)
    assert json.loads(render(cluster(), "c", machine, None)) == {
        "server": "c",
        "asked": {},
        "slots": {"c-gpu0": {"cpus": "0-7", "gpu": "GPU-1234"}},
    }


def test_slots_have_the_measured_number_of_cores() -> None:
    found = json.loads(render(cluster(), "c", HARDWARE, 2))
    assert [slot["cpus"] for slot in found["slots"].values()] == ["0-1", "2-3", "4-5", "6-7"]


def test_a_worker_reads_its_slot_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "slots.json"
    file.write_text(render(cluster(), "c", HARDWARE, None))
    environ = {"DOCKER_RESOURCE_SLOT": "c-cpu1", "WANWU_MODEL": "photos"}
    assert assigned(environ, file)["WANWU_CPUS"] == "4-7"


def test_an_invalid_server_name_is_rejected() -> None:
    with pytest.raises(CommandError) as error:
        render(cluster(), "Server_1", HARDWARE, None)
    assert error.value.lines == (
        "--server: found 'Server_1', needed up to 31 lower-case letters, digits or \"-\", the first a letter",
    )


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"gpus": "none", "workers": 2, "cores_per_worker": 1},
        {"gpus": ["GPU-2", "GPU-1"], "cpus": "none"},
        {"cpus": "0-3,8"},
    ],
)
def test_requested_settings_are_recorded_as_in_the_file(values: dict[str, object]) -> None:
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    (server,) = cluster(f'[[servers]]\nname = "a"\n{lines}').servers
    assert requested_settings(server) == values
    assert json.loads(json.dumps(requested_settings(server))) == values


def test_the_recorded_keys_are_those_that_the_plan_reads() -> None:
    """These are all keys of a server but its name, address and gateway."""
    every = Server("a", "", (), (), 1, 1)
    assert requested_settings(every).keys() == SCHEMA["servers"].keys() - {"name", "address", "gateway"}
