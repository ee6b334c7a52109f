"""The declarations of engines and loaders: one file each, which the registries discover.

Standard library only: scripts on a bare server read the same declarations as the worker.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

TORCH = "torch"  # the format of networks that a loader builds with torch
INT8 = "int8"
Declaration = TypeVar("Declaration")


@dataclass(frozen=True)
class WorkerImage:
    """A stage of worker/Dockerfile, and the files in worker/requirements (without ".txt") that it installs."""

    target: str
    requirements: tuple[str, ...]


BASE_IMAGE = WorkerImage("prepared", ("base",))  # for the engines whose packages are all in base.txt


@dataclass(frozen=True)
class PreparedNetworks:
    """A kind of network that `make model-prepare` makes, with scripts/models/tools/prepare/converters/NAME.py.

    [engine.prepared] lists such networks as NAME-f32 and NAME-int8. Several engines may run the same kind.
    """

    name: str
    suffix: str  # of the network's file; unique to this kind
    weights_suffix: str  # replaces `suffix` in the name of the weights' file, which may be missing

    def name_for(self, precision: str) -> str:
        """Return the name under [engine.prepared] of the network for `precision`; bf16 uses the f32 network."""
        return f"{self.name}-{INT8 if precision == INT8 else 'f32'}"

    def files(self, file: str) -> tuple[str, str]:
        """Return the network's `file`, and the path of its weights if they are in a file of their own."""
        return file, f"{file.removesuffix(self.suffix)}{self.weights_suffix}"


@dataclass(frozen=True)
class EngineDeclaration:
    """An engine: what it runs, on which hardware, and what it needs. worker/engines/NAME.py implements it.

    `memory_mb` is the measured resident memory of a worker before it loads its model, in 10^6 bytes. Exactly one engine
    is `safe`: it runs on every CPU without torch, and is the choice where nothing was measured.
    """

    name: str
    reads: tuple[str, ...]  # formats (LoaderDeclaration.format) that it runs without conversion
    cpu: tuple[str, ...]  # precisions on CPUs; the first is the most exact
    memory_mb: int
    gpu: tuple[str, ...] = ()  # precisions on GPUs
    prepared: PreparedNetworks | None = None  # the kind of prepared network that it runs
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
        """Return the name under [engine.prepared] of its network for `precision`, None if it runs no such networks."""
        return self.prepared.name_for(precision) if self.prepared else None


def _detects_nothing(folder: Path) -> bool:
    return False


@dataclass(frozen=True)
class LoaderDeclaration:
    """A loader: what it reads and how to recognise it. worker/models/loaders/MODULE.py (or NAME.py) implements it.

    If several loaders recognise a model, the one with the lowest `precedence` reads it.
    """

    name: str
    precedence: int
    module: str = ""
    format: str = TORCH  # of its networks: engines may run it directly; only TORCH can be converted
    suffixes: tuple[str, ...] = ()  # of single files that it reads
    # Whether it reads a folder, or a file with none of the suffixes, by file names and configuration.
    detects: Callable[[Path], bool] = _detects_nothing
    marker: str = ""  # description of what `detects` looks for, for messages
    needs_architecture: bool = False
    can_refit: bool = False  # whether CHANNELS may adapt the first layer to images other than RGB
    reads_texts: bool = False  # whether its networks compare images with texts, which needs torch on every engine
    described_by: str = ""  # the file that describes the preprocessing: model-verify compares it with [input]
    converted_to: str = ""  # the loader of the network that model-add converts it to; "" if it is served as it is
    settings: tuple[str, ...] = ()  # fnmatch patterns of files other than weights that model-fetch downloads
    weights: tuple[str, ...] = ()  # regular expressions of weights: model-fetch downloads the first that matches

    @property
    def module_name(self) -> str:
        """The module's name in worker/models/loaders."""
        return self.module or self.name


def discover(package: str, folders: Iterable[str], kind: type[Declaration]) -> Iterator[Declaration]:
    """Yield every declaration of type `kind` in the modules of `package`, found in `folders`."""
    for info in pkgutil.iter_modules(folders):
        module = importlib.import_module(f"{package}.{info.name}")
        yield from (value for value in vars(module).values() if isinstance(value, kind))
