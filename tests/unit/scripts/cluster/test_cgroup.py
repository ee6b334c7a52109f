from pathlib import PurePosixPath

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.cgroup import cgroup_files, parse_free_memory, parse_memory, parse_quota
from tests.unit.hardware import recorded


def test_memory_is_the_minimum_of_machine_and_cgroup_limits() -> None:
    meminfo = "MemTotal:       1000 kB\n"
    assert parse_memory(meminfo, ["max\n", ""]) == 1_024_000
    assert parse_memory(meminfo, ["9223372036854771712\n"]) == 1_024_000
    assert parse_memory(meminfo, ["600000\n", "500000\n"]) == 500_000
    with pytest.raises(CommandError, match=r"^/proc/meminfo has no MemTotal line: mount /proc$"):
        parse_memory("", [])


def test_free_memory_is_what_the_machine_and_every_cgroup_leave() -> None:
    meminfo = "MemTotal: 9000 kB\nMemAvailable:    1000 kB\n"
    assert parse_free_memory(meminfo, []) == 1_024_000
    assert parse_free_memory(meminfo, [("max\n", "5\n", ""), ("", "", "")]) == 1_024_000
    read_long_ago = "active_file 7\ninactive_file 300000\n"
    assert parse_free_memory(meminfo, [("900000\n", "500000\n", read_long_ago)]) == 700_000
    assert parse_free_memory(meminfo, [("900000\n", "500000\n", f"total_{read_long_ago}"), ("6\n", "7\n", "")]) == 0
    assert parse_free_memory("", []) == 0


def test_the_cpu_quota_is_the_lowest_of_the_cgroup_and_its_parents() -> None:
    assert parse_quota(["max 100000\n", "250000 100000\n", "400000 100000"]) == 2.5  # cpu.max
    assert parse_quota(["-1\n 100000\n", "50000\n 100000\n"]) == 0.5  # cpu.cfs_quota_us, cpu.cfs_period_us
    assert parse_quota(["", " ", "max 100000", "-1 100000", "100000"]) is None
    machine = recorded("quota")
    assert (machine.cpu_quota, len(machine.cpus)) == (6.5, 128)
    assert machine.notes == ("the cgroup's quota leaves the time of 6.5 CPUs",)


def test_cgroup_v2_files_are_searched_upwards() -> None:
    assert cgroup_files("0::/system.slice/a.service\n", "memory", "v1", "memory.max") == [
        PurePosixPath("/sys/fs/cgroup/system.slice/a.service/memory.max"),
        PurePosixPath("/sys/fs/cgroup/system.slice/memory.max"),
        PurePosixPath("/sys/fs/cgroup/memory.max"),
    ]


def test_cgroup_v1_files_are_searched_below_their_controller() -> None:
    own = "4:memory:/docker/1f\n3:cpu,cpuacct:/\n2:cpuset:/\n1:name=systemd:/\n0::/\n"
    assert cgroup_files(own, "memory", "memory.limit_in_bytes", "memory.max") == [
        PurePosixPath("/sys/fs/cgroup/memory/docker/1f/memory.limit_in_bytes"),
        PurePosixPath("/sys/fs/cgroup/memory/docker/memory.limit_in_bytes"),
        PurePosixPath("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        PurePosixPath("/sys/fs/cgroup/memory.max"),
    ]
