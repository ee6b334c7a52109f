"""The loaders: one module each, imported on demand, so that a model needs only the libraries of its own loader.

worker/contract/loaders declares them. A module defines `describe(path, architecture) -> Description`. A loader that
builds networks with torch also defines `load(folder) -> torch.nn.Module`, any other `is_quantised(path) -> bool`. One
that reads texts defines `load_text_tower(path, threads)`. `recognises(path, architecture)` decides between loaders of
files with the same suffix.
"""

import importlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from worker.contract.declarations import TORCH
from worker.contract.loaders import LOADERS, format_of, loaders_with
from worker.contract.toml_reader import ModelError
from worker.decode import Geometry
from worker.models.folder import ModelFolder
from worker.models.loaders import adapters, detect

if TYPE_CHECKING:
    import torch

    from worker.models.loaders.outputs import GraphOutput
    from worker.models.zero_shot import TextTower

USE_COMPILER = ("transformers",)  # loaders whose library imports parts of torch's compiler that have no stand-in


@dataclass(frozen=True)
class Description:
    """A description of a local model that is sufficient to write model.toml."""

    loader: str  # one of LOADERS
    architecture: str  # "" if the loader needs none
    weights: str  # the `weights` key: a path inside the new folder, or "."
    files: Mapping[str, Path]  # files to copy: path inside the new folder -> local file
    geometry: Geometry
    mean: tuple[float, ...]  # of each channel of the network's input, on a scale of 0 to 1
    std: tuple[float, ...]
    labels: Mapping[str, tuple[str, ...]]  # by language; empty if the library has none
    activation: str
    classes: int = 0  # the number of outputs; 0 if it is not known
    input: Mapping[str, Any] = field(default_factory=dict)  # further keys of model.toml's [input]
    text_language: str = ""  # of a zero-shot network: the language that its text tower reads
    outputs: tuple["GraphOutput", ...] = ()  # of an exported network
    tensor: str = ""  # the output that has the scores, where there are several
    write: Callable[[Path], None] | None = None  # writes the weights into the new folder, converted from another format
    states_preprocessing: bool = False  # whether an exported network states its own preprocessing
    notes: tuple[str, ...] = ()  # what the user should know, a line each


def describe(path: Path, loader: str | None = None, architecture: str = "", channels: int | None = None) -> Description:
    """Return the description of the model at `path`, a file or a folder; detect the loader if it is None.

    `channels` is the number of channels of the images to serve, to which the first layer will be adapted. No code from
    the files runs. Raise ModelError if the model cannot be described.
    """
    if not path.exists():
        raise ModelError(f"{path}: does not exist; check the path")
    path = detect.resolve_snapshot(path)
    adapters.refuse_adapter_folder(path)
    loader_name = loader or detect.detect_loader(path, lambda name: _recognises(name, path, architecture))
    if loader_name not in LOADERS:
        raise ModelError(f"{path}: no loader {loader_name!r}; needed one of {', '.join(LOADERS)}")
    description: Description = module_of(loader_name).describe(path, architecture)
    return _channels().adapt_description(description, channels) if channels else description


def load_network(folder: ModelFolder) -> "torch.nn.Module":
    """Return the folder's network in eval mode: float32 [N, C, H, W] -> float32 logits [N, classes].

    Raise ModelError if torch cannot build the network, or the weights do not fit it.
    """
    if format_of(folder.loader) != TORCH:
        raise ModelError(
            f"{folder.path}: engine torch cannot run loader {folder.loader!r}; "
            f"it runs {', '.join(loaders_with(format=TORCH))}: "
            "set [engine] name to the engine the folder was prepared for"
        )
    network: torch.nn.Module = module_of(folder.loader).load(folder)
    _channels().fit(network, folder)
    return network


def load_text_tower(loader: str, path: Path, threads: int) -> "TextTower":
    """Return the text tower of the network in the folder `path`, which `loader` reads; it runs on `threads` threads.

    Raise ModelError if it cannot be loaded, and ImportError if torch is not installed.
    """
    tower: TextTower = module_of(loader).load_text_tower(path, threads)
    return tower


def is_quantised(loader: str, path: Path) -> bool:
    """Return whether the network in the file `path`, which `loader` reads, is int8. Raise ModelError if unreadable."""
    return format_of(loader) != TORCH and bool(module_of(loader).is_quantised(path))


def _recognises(loader: str, path: Path, architecture: str) -> bool:
    """Return whether `loader` recognises the file `path`, whose suffix other loaders read, too."""
    module = module_of(loader)
    return bool(module.recognises(path, architecture)) if hasattr(module, "recognises") else True


def _channels() -> ModuleType:
    return importlib.import_module(f"{__name__}.channels")  # imported here because it imports this module


def module_of(loader: str) -> ModuleType:
    """Import and return the module of `loader`."""
    with _prepared_imports(loader):
        return importlib.import_module(f"worker.models.loaders.{LOADERS[loader].module_name}")


def _prepared_imports(loader: str) -> AbstractContextManager[None]:
    """Make torchvision importable, which timm and transformers import, too; leave out torch's compiler if possible."""
    if format_of(loader) != TORCH:
        return nullcontext()
    from worker.models import torch_compiler, torchvision_ops

    torchvision_ops.make_importable()
    return nullcontext() if loader in USE_COMPILER else torch_compiler.left_out()
