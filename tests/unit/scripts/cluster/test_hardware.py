from dataclasses import replace

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.hardware import (
    Cpu,
    Gpu,
    Hardware,
    describe,
    parse_gpus,
    parse_lscpu,
    pci_addresses,
)
from tests.unit.hardware import MACHINES, raw_info, recorded
from worker.contract.cpu_list import format_cpu_list


def test_two_cores() -> None:
    assert recorded("two-cores") == Hardware(
        cpus=(Cpu(0, 0, 0, 0), Cpu(1, 1, 0, 0)), gpus=(), memory_bytes=24684092 * 1024
    )


def test_smt_siblings_share_a_core_and_sockets_do_not() -> None:
    cpus = recorded("two-sockets").cpus
    assert len(cpus) == 128
    assert (cpus[31], cpus[95]) == (Cpu(31, 31, 0, 0), Cpu(95, 31, 0, 0))
    assert (cpus[32], cpus[96]) == (Cpu(32, 32, 1, 1), Cpu(96, 32, 1, 1))


def test_eight_gpus_have_numa_nodes_and_local_cpus() -> None:
    gpus = recorded("eight-gpus").gpus
    assert [gpu.numa_node for gpu in gpus] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert {format_cpu_list(gpu.cpus) for gpu in gpus[:4]} == {"0-55,112-167"}
    assert {format_cpu_list(gpu.cpus) for gpu in gpus[4:]} == {"56-111,168-223"}
    assert gpus[0].uuid == "GPU-3f1c8a52-77d0-4b1e-9a63-0c5d2e9f4b10"
    assert gpus[0].name == "NVIDIA H100 80GB HBM3"


def test_mig_devices_replace_their_gpu() -> None:
    machine = recorded("mig")
    assert [(gpu.uuid, gpu.name, gpu.numa_node) for gpu in machine.gpus] == [
        ("MIG-1d7f52a6-90c3-5b48-a6ee-03f4c8b1d972", "NVIDIA A100-PCIE-40GB MIG 3g.20gb", -1),
        ("MIG-8c20e4b7-5f6d-5a13-9d04-b7e8a25c61f0", "NVIDIA A100-PCIE-40GB MIG 3g.20gb", -1),
        ("GPU-e07c3d58-1b92-4f6a-8ad5-4c9e2f70b186", "NVIDIA A100-PCIE-40GB", -1),
    ]
    assert {gpu.cpus for gpu in machine.gpus} == {tuple(range(32))}


def test_a_broken_driver_means_no_gpu_and_a_note() -> None:
    machine = recorded("broken-driver")
    assert machine.gpus == ()
    assert machine.notes == (
        "nvidia-smi -L: NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
        " Make sure that the latest NVIDIA driver is installed and running.",
    )


def test_one_lost_gpu_does_not_hide_the_others() -> None:
    raw = raw_info("eight-gpus")
    lost = "Unable to determine the device handle for gpu 0000:1B:00.0: GPU is lost.\n"
    others = "".join(raw.smi_list.splitlines(keepends=True)[1:])
    machine = describe(replace(raw, smi_list=lost + others))
    assert machine.gpus == recorded("eight-gpus").gpus[1:]
    assert machine.notes == (f"nvidia-smi -L: {lost.strip()}",)


def test_a_gpu_missing_from_sys_is_close_to_every_usable_cpu() -> None:
    gpus, notes = parse_gpus("GPU 0: NVIDIA T4 (UUID: GPU-1)\n", "", {}, {4, 2})
    assert (gpus, notes) == ((Gpu("GPU-1", "NVIDIA T4", -1, (2, 4)),), ())


def test_pci_addresses_are_spelled_as_in_sys() -> None:
    query = "0, GPU-1, NVIDIA T4, 00000000:AF:00.0\n1, GPU-2, A, B, C, 00010000:0B:00.1\n[Unknown Error]\n"
    assert pci_addresses(query) == {"GPU-1": "0000:af:00.0", "GPU-2": "10000:0b:00.1"}


def test_only_cpus_that_the_cgroup_allows_are_usable() -> None:
    machine = recorded("odd-cgroup")
    assert [cpu.number for cpu in machine.cpus] == [1, 3, 5]
    assert machine.forbidden_cpus == (0, 2, 4, 6, 7)
    assert machine.memory_bytes == 2 * 1024**3


def test_only_cpus_in_the_affinity_mask_are_usable() -> None:
    machine = describe(replace(raw_info("eight-gpus"), affinity=frozenset({3, 115, 60})))
    assert [cpu.number for cpu in machine.cpus] == [3, 60, 115]
    assert [gpu.cpus for gpu in machine.gpus[3:5]] == [(3, 115), (60,)]


def test_without_a_usable_cpu_the_error_shows_both_lists() -> None:
    with pytest.raises(CommandError) as error:
        describe(replace(raw_info("odd-cgroup"), affinity=frozenset({0, 2})))
    assert str(error.value) == (
        'found no usable CPU: lscpu lists "0-7", the affinity mask and the cgroup cpuset leave "":'
        " allow this process a CPU that is online"
    )


def test_empty_columns_of_lscpu_make_each_cpu_a_core_of_one_node() -> None:
    assert parse_lscpu("# CPU,Core,Socket,Node\n1,,,\n0,,,\n") == (Cpu(0, 0, 0, 0), Cpu(1, 1, 0, 0))


@pytest.mark.parametrize("machine", MACHINES)
def test_a_description_survives_a_json_round_trip(machine: str) -> None:
    assert Hardware.from_json(recorded(machine).to_json()) == recorded(machine)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cpus": [], "gpus": [], "forbidden_cpus": [], "notes": []}'])
def test_json_that_is_not_a_description_is_rejected(text: str) -> None:
    with pytest.raises(CommandError, match=r"^not a hardware description \(.+\): write it again$"):
        Hardware.from_json(text)
