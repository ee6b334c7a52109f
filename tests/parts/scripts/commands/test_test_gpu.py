"""`make test-gpu` where it cannot run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.commands import ServiceOptions
from scripts.commands.test_gpu import Options, run


def test_a_machine_without_a_gpu_ends_it_at_once_with_what_is_needed(tmp_path: Path) -> None:
    (tmp_path / "lscpu").symlink_to(shutil.which("lscpu") or "")
    environ = os.environ | {"PATH": str(tmp_path)}  # there is no nvidia-smi in it
    command = [sys.executable, "-m", "scripts", "test-gpu"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "!! found no GPU that nvidia-smi lists, needed an NVIDIA GPU and its driver: run this on a machine that has "
        "them; GPU=none tries the load on the CPUs\n"
    )


def test_another_value_of_gpu_is_refused() -> None:
    with pytest.raises(CommandError) as caught:
        run(ServiceOptions(), Options("1"))
    assert caught.value.lines == ("GPU: found '1', needed none, or no value for this machine's first GPU",)
