"""The cores that are tried together are those that the plan would give to workers."""

import pytest

from scripts.cluster.config import parse_cluster
from scripts.cluster.plan import plan
from scripts.models.tools.prepare.scaling import places, sizes
from tests.unit.hardware import recorded


@pytest.mark.parametrize(
    ("machine", "wanted"), [("two-cores", [1, 2]), ("two-sockets", [1, 2, 4, 8]), ("odd-cgroup", [1, 2])]
)
def test_workers_are_tried_with_as_many_cores_as_a_node_has(machine: str, wanted: list[int]) -> None:
    assert sizes(recorded(machine).cpus) == wanted


@pytest.mark.parametrize("machine", ["two-cores", "two-sockets", "odd-cgroup", "eight-gpus"])
def test_they_are_the_workers_that_the_plan_makes(machine: str) -> None:
    hardware = recorded(machine)
    for size in sizes(hardware.cpus):
        server = f'[[servers]]\ngpus = "none"\ncores_per_worker = {size}\n'
        cluster = parse_cluster(f'[[models]]\nname = "m"\nfolder = "m"\n{server}', "c.toml")
        slots = [worker.slot.cpus for worker in plan(cluster, {"this": hardware}).workers]
        assert [place.cpus for place in places(hardware.cpus, size)] == slots
