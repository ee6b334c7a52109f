"""Pinning a process to its slot, in processes of their own, so that the test process keeps its CPUs."""

import dataclasses
import os
from pathlib import Path

import pytest

from tests.unit.worker.contract.test_settings import COMPLETE
from worker.contract.settings import Settings
from worker.contract.swarm_slot import SlotError
from worker.process.slot import pin


def driver(folder: Path, uuid: str) -> str:
    """Return a directory for PATH whose nvidia-smi lists one GPU."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: {uuid})'\n")
    program.chmod(0o755)
    return str(folder)


def test_cpus_that_this_process_may_not_use_are_refused() -> None:
    allowed = sorted(os.sched_getaffinity(0))
    elsewhere = dataclasses.replace(Settings.from_env(COMPLETE), cpus=frozenset({allowed[0], 4000}))
    with pytest.raises(SlotError) as caught:
        pin(elsewhere)
    assert str(caught.value) == (
        f"slot this-cpu0 is CPUs {allowed[0]},4000, but this process may use only {','.join(map(str, allowed))}: "
        "run `make up` again so that the plan follows the hardware"
    )
    assert sorted(os.sched_getaffinity(0)) == allowed


def test_a_missing_gpu_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", driver(tmp_path, "GPU-9z"), prepend=":")
    here = frozenset(os.sched_getaffinity(0))
    with pytest.raises(SlotError) as caught:
        pin(dataclasses.replace(Settings.from_env(COMPLETE), cpus=here, gpu="GPU-1a2b"))
    assert str(caught.value) == (
        "slot this-cpu0 is GPU GPU-1a2b, but nvidia-smi lists none with this UUID here: "
        "run `make up` again so that the plan follows the hardware"
    )
