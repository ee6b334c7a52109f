"""The measured sets of cores are those that the plan gives to workers."""

import pytest

from scripts.cluster.config import parse_cluster
from scripts.cluster.plan import plan
from scripts.models.tools.prepare.scaling import placements, sizes
from tests.unit.hardware import recorded


@pytest.mark.parametrize(
    ("machine", "expected"), [("two-cores", [1, 2]), ("two-sockets", [1, 2, 4, 8]), ("odd-cgroup", [1, 2])]
)
def test_workers_are_measured_with_up_to_all_cores_of_a_node(machine: str, expected: list[int]) -> None:
    assert sizes(recorded(machine).cpus) == expected


@pytest.mark.parametrize("machine", ["two-cores", "two-sockets", "odd-cgroup", "eight-gpus"])
def test_the_placements_equal_the_slots_of_the_plan(machine: str) -> None:
    hardware = recorded(machine)
    for size in sizes(hardware.cpus):
        server = f'[[servers]]\ngpus = "none"\ncores_per_worker = {size}\n'
        cluster = parse_cluster(f'[[models]]\nname = "m"\nfolder = "m"\n{server}', "c.toml")
        slots = [worker.slot.cpus for worker in plan(cluster, {"this": hardware}).workers]
        assert [placement.cpus for placement in placements(hardware.cpus, size)] == slots
