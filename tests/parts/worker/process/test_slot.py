"""Pinning a process to its slot, in processes of their own: a mask cannot be widened again."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.worker.contract.test_settings import COMPLETE
from worker.contract.settings import Settings
from worker.contract.swarm_slot import SlotError
from worker.process.slot import pin

ROOT = Path(__file__).parents[4]
SHOW = """
import json, os
from worker.contract.settings import Settings
from worker.process.slot import pin
pin(Settings.from_env(os.environ))
names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES"]
print(json.dumps([sorted(os.sched_getaffinity(0)), [os.environ[name] for name in names]]))
"""


def pinned(**settings: str) -> list[object]:
    environ = {"PATH": os.environ["PATH"]} | COMPLETE | settings
    environ["PATH"] = f"{settings.get('PATH', '')}:{os.environ['PATH']}"
    shown = subprocess.run([sys.executable, "-c", SHOW], env=environ, cwd=ROOT, capture_output=True, check=True)
    found: list[object] = json.loads(shown.stdout)
    return found


def test_a_process_gets_the_slots_cpus_and_thread_counts_and_no_gpu() -> None:
    cpu = max(os.sched_getaffinity(0))
    assert pinned(WANWU_CPUS=str(cpu)) == [[cpu], ["1", "1", "1", ""]]


def driver(folder: Path, uuid: str) -> str:
    """Return a folder for PATH whose nvidia-smi lists one GPU."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: {uuid})'\n")
    program.chmod(0o755)
    return str(folder)


def test_a_slot_with_a_gpu_sees_only_that_gpu(tmp_path: Path) -> None:
    cpus = sorted(os.sched_getaffinity(0))[:2]
    count = str(len(cpus))
    listed = ",".join(map(str, cpus))
    assert pinned(WANWU_CPUS=listed, WANWU_GPU="GPU-1a2b", PATH=driver(tmp_path, "GPU-1a2b")) == [
        cpus,
        [count, count, count, "GPU-1a2b"],
    ]


def test_a_missing_gpu_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", driver(tmp_path, "GPU-9z"), prepend=":")
    here = frozenset(os.sched_getaffinity(0))
    with pytest.raises(SlotError) as caught:
        pin(dataclasses.replace(Settings.from_env(COMPLETE), cpus=here, gpu="GPU-1a2b"))
    assert str(caught.value) == (
        "slot this-cpu0 is GPU GPU-1a2b, but nvidia-smi lists none with this UUID here: "
        "run `make up` again so that the plan follows the hardware"
    )
