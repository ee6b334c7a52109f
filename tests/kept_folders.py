"""A cache of model folders, which are made once and then copied: converting one takes seconds.

They are under .pytest_cache, in a folder named after the files that they depend on, so that a change rebuilds them.
"""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import Concatenate, ParamSpec

import torch

from scripts.cluster.config import ROOT
from scripts.host.environments import DEV

Options = ParamSpec("Options")
Maker = Callable[Concatenate[Path, Options], Path]

KEPT = ROOT / ".pytest_cache/folders"
MADE_BY = (ROOT / "tests/folders.py", Path(__file__), ROOT / "worker/models/torchvision_ops.py", *DEV.locks)
AT_WORK: list[bool] = []  # not empty while a folder is being made
KNOWN = ("tests.folders", "torch.nn.")  # modules of network classes that MADE_BY and the locks pin


def kept(make: Maker[Options]) -> Maker[Options]:
    """Return `make` with a cache: with options that it had before, it copies the folder that it made then."""

    @wraps(make)
    def made_once(path: Path, /, *args: Options.args, **options: Options.kwargs) -> Path:
        values = [*args, *options.values()]
        if not all(map(_is_known, values)):
            return make(path, *args, **options)
        text = "\n".join([make.__name__, *map(str, options), *map(_told, values)])
        source = _home() / f"{make.__name__}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        if not source.is_dir():
            with tempfile.TemporaryDirectory(dir=_home()) as draft:
                with making():
                    made = make(Path(draft) / "made", *args, **options)
                _move(made, source)
        shutil.copytree(source, path)
        return path

    return made_once


@contextmanager
def making() -> Iterator[None]:
    """Mark that a folder is being made, for which libraries may start compilers and other processes."""
    AT_WORK.append(True)
    try:
        yield
    finally:
        AT_WORK.pop()


@cache
def _home() -> Path:
    """Return the cache folder for the current files; delete those of earlier files."""
    total = hashlib.sha256(sys.version.encode())
    for file in MADE_BY:
        total.update(file.read_bytes())
    home = KEPT / total.hexdigest()[:16]
    for other in KEPT.glob("*"):
        if other != home:
            shutil.rmtree(other, ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    return home


def _move(made: Path, place: Path) -> None:
    """Move a folder to its place, unless another process has put one there."""
    try:
        made.rename(place)
    except OSError:
        if not place.is_dir():
            raise


def _is_known(value: object) -> bool:
    """Return whether the value's text, or for a network its text and weights, describes it completely."""
    if isinstance(value, torch.nn.Module):
        return all(type(layer).__module__.startswith(KNOWN) for layer in value.modules())
    return value is None or isinstance(value, (str, int, float, list, tuple))


def _told(value: object) -> str:
    if not isinstance(value, torch.nn.Module):
        return repr(value)
    digest = hashlib.sha256()
    for name, tensor in value.state_dict().items():
        digest.update(name.encode() + tensor.detach().numpy().tobytes())
    return f"{type(value).__module__} {value!r} {digest.hexdigest()}"
