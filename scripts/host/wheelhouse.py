"""wheelhouse/: the wheels that the images are built from, so that a build needs no package index."""

import re
import tempfile
import venv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.host.environments import FURTHER, TORCH_CPU, TORCH_CUDA, WORKER
from scripts.host.packages import require_ensurepip
from scripts.host.pip import reason, run_pip
from worker.contract.files import sha256

WHEELHOUSE = ROOT / "wheelhouse"
BASE = WORKER / "base.txt"
LOCKS = (BASE, *FURTHER, TORCH_CPU, TORCH_CUDA)
# What the images run: Debian 12's Python 3.11 and glibc 2.36. pip wants every platform that will do by name.
TAGS = (
    "--python-version=3.11",
    "--implementation=cp",
    *(f"--abi={abi}" for abi in ("cp311", "abi3", "none")),
    *(f"--platform=manylinux{year}_x86_64" for year in ("1", "2010", "2014")),
    *(f"--platform=manylinux_2_{minor}_x86_64" for minor in range(5, 37)),
)
PIN = re.compile(r"^([a-z0-9.-]+==\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)

Pins = Mapping[str, frozenset[str]]  # "name==version" -> the sha256 of every file it may be


def fill(torch: bool) -> None:
    """Have in wheelhouse/ what the images without torch are built from, and with `torch` what its CPU image is, too.

    Raises CommandError when pip fails. Wheels for GPUs are only kept: the lists of the other images do not name them.
    """
    collect((BASE, *FURTHER, *([TORCH_CPU] if torch else [])), WHEELHOUSE)


def collect(locks: Sequence[Path], folder: Path, keep: Sequence[Path] = LOCKS) -> None:
    """Have in `folder` every wheel that `locks` pin, and none that neither they nor `keep` name; raises CommandError.

    What is there already is not asked for again, so that a full folder needs no index.
    """
    pins = {name: hashes for lock in locks for name, hashes in read_pins(lock.read_text()).items()}
    folder.mkdir(exist_ok=True)
    if absent := missing(pins, _hashes(folder).values()):
        step(f"{folder.name}: {len(absent)} of {len(pins)} wheels to fetch")
        _download(locks, folder)
        if absent := missing(pins, _hashes(folder).values()):
            raise CommandError(f"pip ended well, but {folder} has no wheel for {', '.join(absent)}")
    known = {value for lock in (*locks, *keep) for each in read_pins(lock.read_text()).values() for value in each}
    for path in (path for path, value in _hashes(folder).items() if value not in known):
        say(f"   removing {path.name}, which no lock names")
        path.unlink()
    size = sum(path.stat().st_size for path in folder.iterdir())
    say(f"   {folder.name} holds the {len(pins)} wheels that are needed; {size / 1e6:.0f} MB in all")


def read_pins(lock: str) -> Pins:
    """What a hash-locked requirements file pins."""
    return {pin[1]: frozenset(re.findall(r"[0-9a-f]{64}", pin[2])) for pin in PIN.finditer(lock)}


def missing(pins: Pins, hashes: Iterable[str]) -> list[str]:
    """The pins for which there is no file with one of their hashes."""
    there = set(hashes)
    return [name for name, allowed in pins.items() if not allowed & there]


def _hashes(folder: Path) -> dict[Path, str]:
    return {path: sha256(path) for path in sorted(folder.iterdir()) if path.is_file()}


def _download(locks: Sequence[Path], folder: Path) -> None:
    # A Python of its own, since the system's often comes without pip.
    require_ensurepip()
    with tempfile.TemporaryDirectory(prefix="wanwu-pip-") as own:
        venv.create(own, with_pip=True, symlinks=True)
        for lock in locks:
            arguments = ["--no-deps", "--require-hashes", "--only-binary=:all:", *TAGS, f"--dest={folder}"]
            total = len(read_pins(lock.read_text()))
            command = ["download", *arguments, f"--requirement={lock}"]
            done, said = run_pip(Path(own) / "bin/python", command, total)
            if not done:
                raise CommandError(
                    f"pip could not fetch what {lock.name} pins:",
                    *reason(said),
                    "needed a package index that has them, or the wheels in a folder that PIP_FIND_LINKS names",
                )
