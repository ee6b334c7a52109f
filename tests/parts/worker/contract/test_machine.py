"""The name of a kind of machine: the same where one measurement holds, another where kernels are chosen otherwise."""

import subprocess
import sys
from pathlib import Path

import pytest

from worker.contract.machine import UNKNOWN_GPU, machine_kind

ROOT = Path(__file__).parents[4]


def test_it_needs_only_the_standard_library() -> None:
    show = (
        "from worker.contract.machine import machine_kind;"
        "from worker.contract.engine import read_engine; print(machine_kind())"
    )
    result = subprocess.run([sys.executable, "-ISc", f"import sys; sys.path.insert(0, '.'); {show}"], cwd=ROOT,
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert result.stdout.strip() == machine_kind()


def test_a_gpu_kind_comes_from_the_driver_and_is_unknown_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine_kind("GPU-1a2b") == UNKNOWN_GPU
    smi = tmp_path / "nvidia-smi"
    smi.write_text('#!/bin/sh\n[ "$*" = -L ] && echo "GPU 0: NVIDIA H200 (UUID: GPU-1a2b)"\n')
    smi.chmod(0o755)
    assert machine_kind("GPU-1a2b") == "NVIDIA H200"
