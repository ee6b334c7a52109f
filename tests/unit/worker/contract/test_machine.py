"""The name of a kind of machine: the same where one measurement holds, another where kernels are chosen otherwise."""

import os
from pathlib import Path

import pytest

from scripts.cluster.hardware import parse_gpus
from worker.contract.machine import FEATURES, UNKNOWN_GPU, cpu_kind, gpu_kind, machine_kind

SMI = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
  MIG 1g.5gb      Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 3g.20gb     Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)
GPU 1: NVIDIA H200 (UUID: GPU-1a2b)
"""


def cpuinfo(flags: str, name: str = "flags") -> str:
    """Two processors, as /proc/cpuinfo lists them."""
    return "".join(
        f"processor\t: {number}\nmodel name\t: A CPU\n{name}\t\t: {flags}\nbugs\t\t:\n\n" for number in (0, 1)
    )


@pytest.mark.parametrize(
    ("architecture", "text", "expected"),
    [
        ("x86_64", cpuinfo("fpu sse2 avx2 fma"), "x86_64 avx2"),
        (
            "x86_64",
            cpuinfo("avx2 avx512f avx512_vnni avx512_bf16 amx_bf16 amx_tile amx_int8 avx_vnni"),
            "x86_64 amx_bf16 amx_int8 avx2 avx512_bf16 avx512_vnni avx512f avx_vnni",
        ),
        ("x86_64", cpuinfo("avx512_vnni avx2 avx512f"), "x86_64 avx2 avx512_vnni avx512f"),
        ("x86_64", cpuinfo("avx512f avx2 avx512_vnni"), "x86_64 avx2 avx512_vnni avx512f"),
        ("aarch64", cpuinfo("fp asimd asimddp sve i8mm bf16", "Features"), "aarch64 asimddp bf16 i8mm sve"),
        ("riscv64", "processor\t: 0\n", "riscv64"),
    ],
)
def test_a_cpu_kind_lists_the_features_that_select_kernels(architecture: str, text: str, expected: str) -> None:
    assert cpu_kind(architecture, text) == expected


def test_the_kind_of_this_machine_comes_from_its_kernel() -> None:
    words = machine_kind().split()
    assert words[0] == os.uname().machine
    assert set(words[1:]) <= set(FEATURES)
    assert all(f" {word}" in Path("/proc/cpuinfo").read_text() for word in words[1:])


@pytest.mark.parametrize(
    ("uuid", "expected"),
    [
        ("GPU-1a2b", "NVIDIA H200"),
        ("GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77", "NVIDIA A100-SXM4-40GB"),
        ("MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb", "NVIDIA A100-SXM4-40GB MIG 3g.20gb"),
        ("GPU-none", UNKNOWN_GPU),
    ],
)
def test_a_gpu_is_named_as_its_driver_names_it(uuid: str, expected: str) -> None:
    assert gpu_kind(SMI, uuid) == expected
    assert gpu_kind("", uuid) == UNKNOWN_GPU


def test_hardware_detection_uses_the_same_gpu_names() -> None:
    for gpu in parse_gpus(SMI, "", {}, {0})[0]:
        assert gpu_kind(SMI, gpu.uuid) == gpu.name
