"""The wheels of a bundle: what Python environments are made from on a site without a package index."""

from collections.abc import Sequence
from pathlib import Path

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.bundle.layout import WHEELS
from scripts.host.environments import EXTRA_LOCKS, PIP, SERVE, TEACH, TOOLS, TORCH_CPU, TORCH_CUDA
from scripts.host.pins import python_version
from scripts.host.systems import SYSTEMS
from scripts.host.wheelhouse import collect

NONE = "none"
LOCAL, TEACHING, MODEL_TOOLS = SETS = ("local", "teach", "tools")
LOCKS = {LOCAL: (PIP, *SERVE.locks, *EXTRA_LOCKS), TEACHING: (PIP, *TEACH.locks), MODEL_TOOLS: (PIP, *TOOLS.locks)}
MEGABYTES = {LOCAL: 110, TEACHING: 50, MODEL_TOOLS: 350}  # for one Python, approximately, each without those before it


def check_sets(names: Sequence[str]) -> tuple[str, ...]:
    """Return the sets of wheels called `names`, or all if there are no names; raise CommandError for an unknown one."""
    if unknown := [name for name in names if name not in (*SETS, NONE)]:
        raise CommandError(f"WHEELS: found {', '.join(unknown)}, needed some of {', '.join(SETS)}, or {NONE}")
    return tuple(name for name in names if name != NONE) if names else SETS


def pythons(systems: Sequence[str]) -> tuple[str, ...]:
    """Return the versions of Python on `systems`, or this machine's if there are none."""
    return tuple(dict.fromkeys(SYSTEMS[name].python for name in systems)) or (python_version(),)


def locks(sets: Sequence[str], gpu: bool) -> list[Path]:
    """Return the lock files of `sets`; torch's are for NVIDIA GPUs if `gpu` is true."""
    torch = [TORCH_CUDA if gpu else TORCH_CPU] if MODEL_TOOLS in sets else []
    return list(dict.fromkeys([*(lock for name in sets for lock in LOCKS[name]), *torch]))


def size(sets: Sequence[str], versions: Sequence[str]) -> int:
    """Return the approximate size of the wheels in bytes."""
    return sum(MEGABYTES[name] for name in sets) * len(versions) * 1_000_000


def write(sets: Sequence[str], versions: Sequence[str], gpu: bool, bundle: Path) -> None:
    """Collect the wheels of `sets` for each of the Python `versions`; raise CommandError if pip fails."""
    for version in versions:
        say(f"   Python {version}: {', '.join(sets)}")
        collect(locks(sets, gpu), bundle / WHEELS / version, keep=(), python=version)
