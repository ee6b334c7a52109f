import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.hardware import (
    Hardware,
    read_hardware,
)
from tests.unit.hardware import FOLDER, recorded


def test_this_machine_is_read_within_its_limits() -> None:
    machine = read_hardware()
    assert {cpu.number for cpu in machine.cpus} <= os.sched_getaffinity(0)
    assert 0 < machine.memory_bytes <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_a_process_confined_to_one_cpu_reads_one_cpu() -> None:
    chosen = max(os.sched_getaffinity(0))
    script = (
        f"import os; os.sched_setaffinity(0, {{{chosen}}});"
        "from scripts.cluster.hardware import read_hardware; print(read_hardware().to_json())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert [cpu.number for cpu in Hardware.from_json(done.stdout).cpus] == [chosen]


def install_nvidia_smi(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a stand-in for nvidia-smi first on the PATH: the driver and its GPUs are not on every machine."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_gpus_are_read_from_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = FOLDER / "eight-gpus"
    install_nvidia_smi(
        f'case "$*" in -L) cat {outputs}/nvidia-smi-L.txt;;'
        f" '--query-gpu=index,uuid,name,pci.bus_id --format=csv,noheader') cat {outputs}/nvidia-smi-query.txt;;"
        " *) exit 2;; esac",
        tmp_path,
        monkeypatch,
    )
    machine = read_hardware()
    assert [gpu.uuid for gpu in machine.gpus] == [gpu.uuid for gpu in recorded("eight-gpus").gpus]
    assert machine.notes == ()


@pytest.mark.parametrize(
    ("script", "note"),
    [
        ("echo No devices were found; exit 6", "nvidia-smi -L: No devices were found"),
        ("echo 'Failed to initialize NVML' >&2; exit 255", "nvidia-smi -L: Failed to initialize NVML"),
        ("exit 9", "nvidia-smi -L: failed with status 9"),
    ],
)
def test_a_failing_nvidia_smi_is_noted(script: str, note: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_nvidia_smi(script, tmp_path, monkeypatch)
    machine = read_hardware()
    assert (machine.gpus, machine.notes) == ((), (note,))


def test_a_missing_lscpu_is_reported_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError) as error:
        read_hardware()
    assert str(error.value) == "found no lscpu: install util-linux with your package manager"
