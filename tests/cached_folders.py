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

CACHE = ROOT / ".pytest_cache/folders"
SOURCES = (ROOT / "tests/folders.py", Path(__file__), ROOT / "worker/models/torchvision_ops.py", *DEV.locks)
ACTIVE: list[bool] = []  # not empty while a folder is being made
PINNED_MODULES = ("tests.folders", "torch.nn.")  # modules of network classes that SOURCES and the locks pin


def cached(make: Maker[Options]) -> Maker[Options]:
    """Return `make` with a cache: with options that it had before, it copies the folder that it made then."""

    @wraps(make)
    def make_or_copy(path: Path, /, *args: Options.args, **options: Options.kwargs) -> Path:
        values = [*args, *options.values()]
        if not all(map(_is_cacheable, values)):
            return make(path, *args, **options)
        text = "\n".join([make.__name__, *map(str, options), *map(_describe, values)])
        source = _cache_folder() / f"{make.__name__}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        if not source.is_dir():
            with tempfile.TemporaryDirectory(dir=_cache_folder()) as draft:
                with creating():
                    created = make(Path(draft) / "made", *args, **options)
                _move(created, source)
        shutil.copytree(source, path)
        return path

    return make_or_copy


@contextmanager
def creating() -> Iterator[None]:
    """Mark that a folder is being made, for which libraries may start compilers and other processes."""
    ACTIVE.append(True)
    try:
        yield
    finally:
        ACTIVE.pop()


@cache
def _cache_folder() -> Path:
    """Return the cache folder for the current files; delete those of earlier files."""
    total = hashlib.sha256(sys.version.encode())
    for file in SOURCES:
        total.update(file.read_bytes())
    folder = CACHE / total.hexdigest()[:16]
    for other in CACHE.glob("*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _move(created: Path, target: Path) -> None:
    """Move a folder to its place, unless another process has put one there."""
    try:
        created.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _is_cacheable(value: object) -> bool:
    """Return whether the value's text, or for a network its text and weights, describes it completely."""
    if isinstance(value, torch.nn.Module):
        return all(type(layer).__module__.startswith(PINNED_MODULES) for layer in value.modules())
    return value is None or isinstance(value, (str, int, float, list, tuple))


def _describe(value: object) -> str:
    if not isinstance(value, torch.nn.Module):
        return repr(value)
    digest = hashlib.sha256()
    for name, tensor in value.state_dict().items():
        digest.update(name.encode() + tensor.detach().numpy().tobytes())
    return f"{type(value).__module__} {value!r} {digest.hexdigest()}"
