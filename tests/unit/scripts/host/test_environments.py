"""Python environments, made by the real pip from a folder of wheels, without a package index."""

import re
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.host.environments import (
    DEV,
    PEERS,
    SERVE,
    SERVE_TORCH,
    STAMP,
    TOOLS,
    TORCH_CPU,
    TORCH_CUDA,
    Environment,
    ensure,
    fingerprint,
)

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


def test_where_none_can_be_made_one_of_another_build_of_this_python_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock, home = tmp_path / "lock.txt", tmp_path / ".venv/tiny"
    lock.write_text("tiny==1\n")
    home.mkdir(parents=True)
    environment = Environment(home, (lock,))
    python, packages = fingerprint(environment, nvidia=False).split(" ", 1)
    (home / STAMP).write_text(f"{python} of another build\n{packages.partition(chr(10))[2]}")
    home.with_suffix(".lock").mkdir()  # stands for a folder that cannot be written, which root always can
    refused = f"{home}.lock: Is a directory: needed free space, and an account that may write there, or root"
    assert ensure(environment, nvidia=False) == home / "bin/python"
    assert capsys.readouterr().err == (
        f"!! {refused}\n!! {home}: still used, made by an earlier build of this Python: same packages\n"
    )
    lock.write_text("tiny==2\n")
    with pytest.raises(CommandError) as error:
        ensure(environment, nvidia=False)
    assert error.value.lines == (refused,)
