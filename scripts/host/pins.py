"""What hash-locked requirements pin, and the wheels of a bundle that satisfy it."""

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from scripts.cluster.config import ROOT
from worker.contract.files import sha256

CARRIED = ROOT / "wheels"  # those of a bundle, or a link to them: a folder for each version of Python
PIN = re.compile(r"^([a-z0-9.-]+==\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)

Pins = Mapping[str, frozenset[str]]  # "name==version" -> the sha256 of every file that satisfies the pin


def read_pins(lock: str) -> Pins:
    """Return what the text `lock` of a hash-locked requirements file pins."""
    return {pin[1]: frozenset(re.findall(r"[0-9a-f]{64}", pin[2])) for pin in PIN.finditer(lock)}


def pins_of(locks: Iterable[Path]) -> Pins:
    """Return what all the lock files `locks` pin."""
    pins: dict[str, frozenset[str]] = {}
    for lock in locks:
        for name, allowed in read_pins(lock.read_text()).items():
            pins[name] = pins.get(name, frozenset()) | allowed
    return pins


def missing(pins: Pins, hashes: Iterable[str]) -> list[str]:
    """Return the pins that no file satisfies; `hashes` are the files' sha256."""
    present = set(hashes)
    return [name for name, allowed in pins.items() if not allowed & present]


def hashes(folder: Path) -> dict[Path, str]:
    """Return the sha256 of each file in `folder`."""
    return {path: sha256(path) for path in sorted(folder.iterdir()) if path.is_file()}


def python_version() -> str:
    """Return this Python's version, as wheels name it: 3.11."""
    return ".".join(map(str, sys.version_info[:2]))


def carried(locks: Sequence[Path], wheels: Path = CARRIED) -> Path | None:
    """Return the folder of a bundle's wheels for this Python if it has all that `locks` pin, else None."""
    folder = wheels / python_version()
    if not folder.is_dir() or missing(pins_of(locks), hashes(folder).values()):
        return None
    return folder
