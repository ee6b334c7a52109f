"""The loaders: one module each, imported only when its turn comes, so that no model costs another's libraries.

A module offers `load(folder) -> torch.nn.Module`, unless the openvino engine runs what it holds, and
`describe(path, architecture) -> Description`.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from worker.contract.engine import ZERO_SHOT
from worker.contract.fields import ModelError
from worker.decode import Geometry
from worker.models.folder import LOADERS, PREPARED, ModelFolder
from worker.models.loaders import guess

if TYPE_CHECKING:
    import torch

    from worker.models.zero_shot import TextTower

# ONNX files and OpenVINO's own are read by the same library.
MODULES = {loader: "prepared" if loader in PREPARED else loader for loader in LOADERS}
NETWORKS = tuple(loader for loader in LOADERS if loader not in PREPARED)


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

    With `channels` it is for pictures of so many, and its first layer is to be fitted to them.
    Runs no code from the files. Raises ModelError with what was found and what to do.
    """
    if not path.exists():
        raise ModelError(f"{path}: does not exist; check the path")
    path = guess.snapshot(path)
    chosen = loader or guess.loader_of(path, architecture)
    if chosen not in MODULES:
        raise ModelError(f"{path}: no loader {chosen!r}; there are {', '.join(LOADERS)}")
    described: Description = _module(chosen).describe(path, architecture)
    return _channels().described(described, channels) if channels else described


def load_network(folder: ModelFolder) -> "torch.nn.Module":
    """The folder's network in eval mode: float32 [N, C, H, W] -> float32 logits [N, classes]. Raises ModelError."""
    if folder.loader not in NETWORKS:
        raise ModelError(
            f"{folder.path}: engine torch cannot run loader {folder.loader!r}; "
            f"it runs {', '.join(NETWORKS)}: set [engine] name to the engine the folder was prepared for"
        )
    network: torch.nn.Module = _module(folder.loader).load(folder)
    _channels().fit(network, folder)
    return network


def load_text_tower(path: Path, threads: int) -> "TextTower":
    """What embeds texts with the zero-shot network in the folder `path`, on `threads` threads.

    Raises ModelError, and ImportError where torch is not installed.
    """
    tower: TextTower = _module(ZERO_SHOT).load_text_tower(path, threads)
    return tower


def _channels() -> ModuleType:
    return importlib.import_module(f"{__name__}.channels")  # which needs what is here


def _module(loader: str) -> ModuleType:
    if loader not in PREPARED:
        from worker.models import torchvision_ops

        torchvision_ops.make_importable()  # timm and transformers import torchvision, too
    return importlib.import_module(f"worker.models.loaders.{MODULES[loader]}")
