"""The loaders: one module each, imported only when its turn comes, so that no model costs another's libraries.

worker/contract/loaders declares them. A module offers `describe(path, architecture) -> Description`; one whose networks
torch builds `load(folder) -> torch.nn.Module`, any other `is_quantised(path) -> bool`; one that reads texts
`load_text_tower(path, threads)`. Where loaders read files of one kind, `recognises(path, architecture)` decides.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from worker.contract.declarations import TORCH
from worker.contract.fields import ModelError
from worker.contract.loaders import LOADERS, declaring, format_of
from worker.decode import Geometry
from worker.models.folder import ModelFolder
from worker.models.loaders import guess

if TYPE_CHECKING:
    import torch

    from worker.models.zero_shot import TextTower


@dataclass(frozen=True)
class Description:
    """What a library says of a model at hand: enough to write model.toml."""

    loader: str  # one of LOADERS
    architecture: str  # "" where the loader needs none
    weights: str  # the `weights` key: a path inside the new folder, or "."
    files: Mapping[str, Path]  # what to copy: path inside the new folder -> file at hand
    geometry: Geometry
    mean: tuple[float, ...]  # of 0..1 values, of each channel that the network takes
    std: tuple[float, ...]
    labels: Mapping[str, tuple[str, ...]]  # by language; empty when the library knows none
    activation: str
    text_language: str = ""  # of a zero-shot network: that of the labels its text tower reads, where there are several


def describe(path: Path, loader: str | None = None, architecture: str = "", channels: int | None = None) -> Description:
    """What is known of the model at `path`, a file or a folder; guesses the loader when it is None.

    With `channels` it is for images of so many, and its first layer is to be fitted to them.
    Runs no code from the files. Raises ModelError with what was found and what to do.
    """
    if not path.exists():
        raise ModelError(f"{path}: does not exist; check the path")
    path = guess.snapshot(path)
    chosen = loader or guess.loader_of(path, lambda name: _recognises(name, path, architecture))
    if chosen not in LOADERS:
        raise ModelError(f"{path}: no loader {chosen!r}; there are {', '.join(LOADERS)}")
    described: Description = _module(chosen).describe(path, architecture)
    return _channels().described(described, channels) if channels else described


def load_network(folder: ModelFolder) -> "torch.nn.Module":
    """The folder's network in eval mode: float32 [N, C, H, W] -> float32 logits [N, classes]. Raises ModelError."""
    if format_of(folder.loader) != TORCH:
        raise ModelError(
            f"{folder.path}: engine torch cannot run loader {folder.loader!r}; "
            f"it runs {', '.join(declaring(format=TORCH))}: set [engine] name to the engine the folder was prepared for"
        )
    network: torch.nn.Module = _module(folder.loader).load(folder)
    _channels().fit(network, folder)
    return network


def load_text_tower(loader: str, path: Path, threads: int) -> "TextTower":
    """Return what embeds texts with the network in the folder `path` that `loader` reads, on `threads` threads.

    Raises ModelError, and ImportError where torch is not installed.
    """
    tower: TextTower = _module(loader).load_text_tower(path, threads)
    return tower


def is_quantised(loader: str, path: Path) -> bool:
    """Return whether the network in the file `path`, which `loader` reads, is int8 already. Raise ModelError."""
    return format_of(loader) != TORCH and bool(_module(loader).is_quantised(path))


def _recognises(loader: str, path: Path, architecture: str) -> bool:
    """Return whether `loader` takes the file `path`, whose kind other loaders read, too."""
    module = _module(loader)
    return bool(module.recognises(path, architecture)) if hasattr(module, "recognises") else True


def _channels() -> ModuleType:
    return importlib.import_module(f"{__name__}.channels")  # which needs what is here


def _module(loader: str) -> ModuleType:
    if format_of(loader) == TORCH:
        from worker.models import torchvision_ops

        torchvision_ops.make_importable()  # timm and transformers import torchvision, too
    return importlib.import_module(f"worker.models.loaders.{LOADERS[loader].code}")
