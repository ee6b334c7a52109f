"""What each engine and each loader says of itself, in a file of its own; the registries find those files.

Standard library only: scripts on a bare server read the same declarations as the worker.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

TORCH = "torch"  # the format of a network that a loader builds with torch
INT8 = "int8"
Declaration = TypeVar("Declaration")


@dataclass(frozen=True)
class WorkerImage:
    """A stage of worker/Dockerfile, and the lists in worker/requirements (without ".txt") that it installs."""

    target: str
    requirements: tuple[str, ...]


BASE_IMAGE = WorkerImage("prepared", ("base",))  # for every engine whose packages are in base.txt


@dataclass(frozen=True)
class PreparedNetworks:
    """Networks that `make model-prepare` converts to: scripts/models/tools/prepare/converters/NAME.py makes them.

    [engine.prepared] lists them as NAME-f32 and NAME-int8. Several engines may run the same ones.
    """

    name: str
    suffix: str  # of the network's file; no other kind has it
    weights_suffix: str  # in place of `suffix`: of the file with the weights, which may be missing

    def called(self, precision: str) -> str:
        """Return the name under [engine.prepared] of what runs in `precision`; a network in f32 runs in bf16, too."""
        return f"{self.name}-{INT8 if precision == INT8 else 'f32'}"

    def files(self, file: str) -> tuple[str, str]:
        """Return the network's `file`, and where its weights are when they are not in it."""
        return file, f"{file.removesuffix(self.suffix)}{self.weights_suffix}"


@dataclass(frozen=True)
class EngineDeclaration:
    """An engine: what it runs, where, and what it needs. worker/engines/NAME.py runs it.

    `memory_mb` is what a worker holds before its model: resident megabytes of 10^6 bytes, measured. Exactly one engine
    is the `safe` one: it runs on every CPU without torch, and is chosen where nothing was measured.
    """

    name: str
    reads: tuple[str, ...]  # formats (LoaderDeclaration.format) that it runs as they are
    cpu: tuple[str, ...]  # precisions on CPUs; the first is the most exact
    memory_mb: int
    gpu: tuple[str, ...] = ()  # precisions on GPUs
    prepared: PreparedNetworks | None = None  # what it runs of networks in other formats
    image: WorkerImage = BASE_IMAGE
    gpu_image: WorkerImage = BASE_IMAGE
    safe: bool = False

    @property
    def precisions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.cpu, *self.gpu)))

    @property
    def torch(self) -> bool:
        """Whether a worker on this engine imports torch."""
        return TORCH in self.reads

    def prepared_name(self, precision: str) -> str | None:
        """Return the name under [engine.prepared] of what it runs in `precision`, None where it runs nothing such."""
        return self.prepared.called(precision) if self.prepared else None


def _nothing(folder: Path) -> bool:
    return False


@dataclass(frozen=True)
class LoaderDeclaration:
    """A loader: what it reads, and how that is recognised. worker/models/loaders/MODULE.py (or NAME.py) reads it.

    Of several loaders that recognise a model, the one with the lowest `precedence` reads it.
    """

    name: str
    precedence: int
    module: str = ""
    format: str = TORCH  # of the network: an engine runs it as it is, and preparing converts only what torch builds
    suffixes: tuple[str, ...] = ()  # of single files that it reads
    detects: Callable[[Path], bool] = _nothing  # whether it reads a folder, told by names of files and configurations
    sign: str = ""  # what `detects` looks for, in words
    needs_architecture: bool = False
    can_refit: bool = False  # whether CHANNELS may fit the first layer to other images than RGB
    reads_texts: bool = False  # whether its networks compare images with texts, which takes torch on every engine
    described_by: str = ""  # the file of a folder that says how images are prepared: model-verify compares
    settings: tuple[str, ...] = ()  # files beside the weights, as fnmatch patterns: model-fetch brings them
    weights: tuple[str, ...] = ()  # forms of weights, as regular expressions: model-fetch brings the first there is

    @property
    def code(self) -> str:
        """The module's name in worker/models/loaders."""
        return self.module or self.name


def discovered(package: str, places: Iterable[str], kind: type[Declaration]) -> Iterator[Declaration]:
    """Yield every declaration of `kind` in the modules of `package`, which lie in the folders `places`."""
    for found in pkgutil.iter_modules(places):
        module = importlib.import_module(f"{package}.{found.name}")
        yield from (value for value in vars(module).values() if isinstance(value, kind))
