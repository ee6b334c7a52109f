"""What nvidia-smi lists: GPUs, their MIG devices, and lines that are neither."""

from tests.unit.worker.contract.test_machine import SMI
from worker.contract.nvidia import ListedGpu, parse_list

A100, H200 = "GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77", "GPU-1a2b"
LOST = "Unable to determine the device handle for GPU 0000:65:00.0: Unknown Error"


def test_mig_devices_follow_their_gpu_and_include_its_name() -> None:
    name = "NVIDIA A100-SXM4-40GB"
    assert parse_list(SMI) == (
        [
            ListedGpu(A100, name),
            ListedGpu("MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", f"{name} MIG 1g.5gb", A100),
            ListedGpu("MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb", f"{name} MIG 3g.20gb", A100),
            ListedGpu(H200, "NVIDIA H200"),
        ],
        [],
    )


def test_unrecognised_lines_are_returned_separately() -> None:
    assert parse_list(f"\n{LOST}\nGPU 1: NVIDIA H200 (UUID: {H200})\n") == ([ListedGpu(H200, "NVIDIA H200")], [LOST])


def test_a_mig_device_without_a_gpu_is_unrecognised() -> None:
    line = SMI.splitlines()[1]
    assert parse_list(line) == ([], [line.strip()])
