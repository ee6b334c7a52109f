"""`make test-gpu`: run the torch engine's tests that need a GPU, then load one worker on it. It needs no network.

A Python that has the packages already, such as that of an image with torch, is used as it is.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.base.options import Flag
from scripts.cluster.config import ROOT
from scripts.cluster.hardware import read_hardware
from scripts.commands import Command, ServiceOptions
from scripts.host.checks import require_success
from scripts.host.environments import DEV
from scripts.host.venv import ensure
from worker.contract.settings import offline_variables

TESTS, LOAD = "tests/gpu", "tests.gpu.load"
LIMIT_S = 480.0  # for both
NONE = "none"
# What the tests and a worker on the torch engine import: by it, a suitable Python is known.
MODULES = (
    "PIL", "cffi", "flask", "gunicorn", "hypothesis", "imagecodecs", "msgspec", "numpy", "prometheus_client", "pytest",
    "requests", "simplejpeg", "tifffile", "torch", "torchvision",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """On which processor."""

    gpu: Annotated[str, Flag("none: only the load, on the CPUs", metavar="none")] = ""


def run(service: ServiceOptions, options: Options) -> None:
    """Run both; raise CommandError if there is no GPU, if a test fails, or if both take longer than LIMIT_S."""
    if options.gpu not in ("", NONE):
        raise CommandError(f"GPU: found {options.gpu!r}, needed {NONE}, or no value for this machine's first GPU")
    gpus = read_hardware().gpus
    if not gpus and not options.gpu:
        raise CommandError(
            "found no GPU that nvidia-smi lists, needed an NVIDIA GPU and its driver: run this on a machine that has "
            f"them; GPU={NONE} tries the load on the CPUs"
        )
    gpu = "" if options.gpu else gpus[0].uuid
    python = Path(sys.executable) if all(map(find_spec, MODULES)) else ensure(DEV, nvidia=bool(gpus))
    environ, end = os.environ | offline_variables() | {"CUDA_VISIBLE_DEVICES": gpu}, time.monotonic() + LIMIT_S
    if gpu:
        _run("the tests of the torch engine on the GPU", environ, end, python, "-m", "pytest", TESTS)
    _run("one worker under load", environ, end, python, "-m", LOAD, gpu)


def _run(name: str, environ: Mapping[str, str], end: float, *command: object) -> None:
    step(name)
    with subprocess.Popen([str(word) for word in command], cwd=ROOT, env=environ) as process:
        try:
            status = process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.terminate()
            raise CommandError(f"{name}: found no end after {LIMIT_S:g} s in all, needed one: see above") from None
    require_success(name, status)


COMMAND = Command("run the tests that need an NVIDIA GPU, and one worker on it under load", Options, run)
