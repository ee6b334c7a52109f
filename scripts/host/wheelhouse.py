"""The wheels in wheelhouse/, from which images are built without a package index."""

import re
import sys
import tempfile
import venv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.host.environments import EXTRA_LOCKS, TORCH_CPU, TORCH_CUDA, WORKER
from scripts.host.packages import require_ensurepip
from scripts.host.pip import failure_lines, run_pip
from worker.contract.files import sha256

WHEELHOUSE = ROOT / "wheelhouse"
BASE = WORKER / "base.txt"
LOCKS = (BASE, *EXTRA_LOCKS, TORCH_CPU, TORCH_CUDA)
# The images run Debian 12's Python 3.11 with glibc 2.36. pip needs the name of every platform tag that fits.
TAGS = (
    "--python-version=3.11",
    "--implementation=cp",
    *(f"--abi={abi}" for abi in ("cp311", "abi3", "none")),
    *(f"--platform=manylinux{year}_x86_64" for year in ("1", "2010", "2014")),
    *(f"--platform=manylinux_2_{minor}_x86_64" for minor in range(5, 37)),
)
PIN = re.compile(r"^([a-z0-9.-]+==\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)

Pins = Mapping[str, frozenset[str]]  # "name==version" -> the sha256 of every file that satisfies the pin


def fill(torch: bool) -> None:
    """Fetch into wheelhouse/ the wheels of the images without torch and, if `torch` is true, of torch's CPU image.

    Wheels for GPUs are kept but not fetched: no other image needs them. Raise CommandError if pip fails.
    """
    collect((BASE, *EXTRA_LOCKS, *([TORCH_CPU] if torch else [])), WHEELHOUSE)


def collect(locks: Sequence[Path], folder: Path, keep: Sequence[Path] = LOCKS) -> None:
    """Fetch into `folder` every wheel that `locks` pin; then delete those that neither `locks` nor `keep` pin.

    Wheels that are already there are not fetched again: a full folder needs no index, and loses nothing, since no index
    may be there that has the others. Raise CommandError if pip fails.
    """
    pins = {name: hashes for lock in locks for name, hashes in read_pins(lock.read_text()).items()}
    folder.mkdir(exist_ok=True)
    if unmet := missing(pins, _hashes(folder).values()):
        step(f"{folder.name}: {len(unmet)} of {len(pins)} wheels to download")
        _download(locks, folder)
        if unmet := missing(pins, _hashes(folder).values()):
            raise CommandError(f"pip succeeded, but {folder} has no wheel for {', '.join(unmet)}")
        _remove_others((*locks, *keep), folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    say(f"   {folder.name} has all needed wheels ({len(pins)}); {size / 1e6:.0f} MB in total")


def _remove_others(locks: Sequence[Path], folder: Path) -> None:
    pinned = {value for lock in locks for hashes in read_pins(lock.read_text()).values() for value in hashes}
    for path in (path for path, value in _hashes(folder).items() if value not in pinned):
        say(f"   removing {path.name}, which no lock file lists")
        path.unlink()


def read_pins(lock: str) -> Pins:
    """Return what the text `lock` of a hash-locked requirements file pins."""
    return {pin[1]: frozenset(re.findall(r"[0-9a-f]{64}", pin[2])) for pin in PIN.finditer(lock)}


def missing(pins: Pins, hashes: Iterable[str]) -> list[str]:
    """Return the pins that no file satisfies; `hashes` are the files' sha256."""
    present = set(hashes)
    return [name for name, allowed in pins.items() if not allowed & present]


def _hashes(folder: Path) -> dict[Path, str]:
    return {path: sha256(path) for path in sorted(folder.iterdir()) if path.is_file()}


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


def _download(locks: Sequence[Path], folder: Path) -> None:
    with python_with_pip() as python:
        for lock in locks:
            arguments = ["--no-deps", "--require-hashes", "--only-binary=:all:", *TAGS, f"--dest={folder}"]
            total = len(read_pins(lock.read_text()))
            command = ["download", *arguments, f"--requirement={lock}"]
            succeeded, output = run_pip(python, command, total)
            if not succeeded:
                raise CommandError(
                    f"pip could not download the wheels that {lock.name} pins:",
                    *failure_lines(output),
                    "needed a package index that has them, or PIP_FIND_LINKS set to a folder with the wheels",
                )
