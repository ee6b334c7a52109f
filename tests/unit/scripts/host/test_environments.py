"""What the environments install: every package by its hash, and no torch where none is needed."""

import re
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT
from scripts.host.environments import DEV, PEERS, SERVE, SERVE_TORCH, TOOLS, TORCH_CPU, TORCH_CUDA

LOCKS = sorted({lock for environment in (SERVE, SERVE_TORCH, TOOLS, PEERS, DEV) for lock in environment.locks})


def test_both_torch_locks_pin_the_same_torch_and_only_one_names_the_cpu_build() -> None:
    cpu, cuda = (re.findall(r"^torch==(\S+)", lock.read_text(), re.MULTILINE) for lock in (TORCH_CPU, TORCH_CUDA))
    assert cpu == [f"{cuda[0]}+cpu"]


@pytest.mark.parametrize("lock", [*LOCKS, TORCH_CPU, TORCH_CUDA], ids=lambda lock: str(lock.relative_to(ROOT)))
def test_every_package_of_a_lock_has_a_hash(lock: Path) -> None:
    packages = re.split(r"^(?=[A-Za-z0-9])", lock.read_text(), flags=re.MULTILINE)[1:]
    assert packages
    assert [text.split()[0] for text in packages if "--hash=sha256:" not in text] == []


def test_locks_for_machines_without_a_gpu_have_no_cuda_packages() -> None:
    for lock in (*SERVE.locks, TORCH_CPU):
        assert not re.findall(r"^(?:nvidia|triton)\S*==", lock.read_text(), re.MULTILINE)


def test_the_environment_that_serves_prepared_models_holds_no_torch() -> None:
    assert not SERVE.torch
    assert not re.findall(r"^torch\S*==", "".join(lock.read_text() for lock in SERVE.locks), re.MULTILINE)
