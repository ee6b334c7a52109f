"""Wheels for sites without a package index: wheelhouse/, from which images are built, and those of a bundle."""

import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.host.environments import EXTRA_LOCKS, TORCH_CPU, TORCH_CUDA, WORKER
from scripts.host.packages import require_ensurepip
from scripts.host.pins import hashes, missing, pins_of
from scripts.host.pip import failure_lines, run_pip

WHEELHOUSE = ROOT / "wheelhouse"
BASE = WORKER / "base.txt"
LOCKS = (BASE, *EXTRA_LOCKS, TORCH_CPU, TORCH_CUDA)
IMAGE_PYTHON = "3.11"  # Debian 12's, whose glibc is 2.36
# pip needs the name of every platform tag that fits.
PLATFORMS = (
    *(f"--platform=manylinux{year}_x86_64" for year in ("1", "2010", "2014")),
    *(f"--platform=manylinux_2_{minor}_x86_64" for minor in range(5, 37)),
)


def fill(torch: bool) -> None:
    """Fetch into wheelhouse/ the wheels of the images without torch and, if `torch` is true, of torch's CPU image.

    Wheels for GPUs are kept but not fetched: no other image needs them. Raise CommandError if pip fails.
    """
    collect((BASE, *EXTRA_LOCKS, *([TORCH_CPU] if torch else [])), WHEELHOUSE)


def collect(locks: Sequence[Path], folder: Path, keep: Sequence[Path] = LOCKS, python: str = IMAGE_PYTHON) -> None:
    """Fetch into `folder` the wheel for `python` of everything that `locks` pin; delete what they and `keep` do not.

    Wheels that are already there are not fetched again: a full folder needs no index, and loses nothing, since no index
    may be there that has the others. Raise CommandError if pip fails.
    """
    pins = pins_of(locks)
    folder.mkdir(parents=True, exist_ok=True)
    if unmet := missing(pins, hashes(folder).values()):
        step(f"{folder.name}: {len(unmet)} of {len(pins)} wheels to download")
        _download(locks, folder, python)
        if unmet := missing(pins, hashes(folder).values()):
            raise CommandError(f"pip succeeded, but {folder} has no wheel for {', '.join(unmet)}")
        _remove_others((*locks, *keep), folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    say(f"   {folder.name} has all needed wheels ({len(pins)}); {size / 1e6:.0f} MB in total")


def _remove_others(locks: Sequence[Path], folder: Path) -> None:
    pinned = {value for each in pins_of(locks).values() for value in each}
    for path in (path for path, value in hashes(folder).items() if value not in pinned):
        say(f"   removing {path.name}, which no lock file lists")
        path.unlink()


@contextmanager
def python_with_pip() -> Iterator[Path]:
    """Yield a Python that has pip: this one, or one in a temporary environment, since a system's often has none."""
    if find_spec("pip"):
        yield Path(sys.executable)
        return
    require_ensurepip()
    with tempfile.TemporaryDirectory(prefix="wanwu-pip-") as folder:
        venv.create(folder, with_pip=True, symlinks=True)
        yield Path(folder) / "bin/python"


def _download(locks: Sequence[Path], folder: Path, version: str) -> None:
    tags = [f"--python-version={version}", "--implementation=cp", *PLATFORMS]
    tags += [f"--abi={abi}" for abi in (f"cp{version.replace('.', '')}", "abi3", "none")]
    arguments = ["--no-deps", "--require-hashes", "--only-binary=:all:", *tags, f"--dest={folder}"]
    with python_with_pip() as python:
        command = ["download", *arguments, *(f"--requirement={lock}" for lock in locks)]
        succeeded, output = run_pip(python, command, len(pins_of(locks)))
    if not succeeded:
        raise CommandError(
            f"pip could not download the wheels pinned in {', '.join(lock.name for lock in locks)}:",
            *failure_lines(output),
            "needed a package index that has them, or PIP_FIND_LINKS set to a folder with the wheels",
        )
