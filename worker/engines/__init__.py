"""One interface to all engines. An engine is imported only if it is chosen: torch costs 200 MB and two seconds."""

import importlib
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from worker.contract import machine
from worker.contract.engine import Choice, no_network
from worker.contract.engines import ENGINES
from worker.contract.toml_reader import ModelError
from worker.engines.batch import Inputs
from worker.engines.runner import Runner, Task
from worker.models.folder import ModelFolder


@dataclass(frozen=True)
class Engine:
    """A network ready to run, and the choice of its engine."""

    choice: Choice
    runner: Runner

    @property
    def name(self) -> str:
        return self.choice.engine

    @property
    def precision(self) -> str:
        return self.choice.precision

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        return self.choice.batch_sizes

    def infer(self, images: Inputs) -> np.ndarray:
        """Return float32 logits [N, classes] of `images`, each uint8 [H, W, C], run in the smallest batch that fits."""
        return self.runner.infer(images)


def load_engine(folder: ModelFolder, requested: str, threads: int, gpu: str = "", cache: str = "") -> Engine:
    """Load `folder`'s network into engine `requested`, for "auto" into the one chosen for this kind of machine.

    `gpu` is the UUID of the slot's GPU, or ""; `cache` is a folder for compiled networks, or "".
    Raise ModelError if the engine cannot run this folder.
    """
    choice = folder.engine.choose(machine.machine_kind(gpu), requested)
    return Engine(choice, _runner(folder, choice, threads, bool(gpu), cache))


def require_support(engine: str, precision: str) -> None:
    """Raise ModelError if this CPU lacks what `engine` needs for `precision` and would compute in another."""
    module = _module(engine)
    if hasattr(module, "require_support"):
        module.require_support(precision)


def _runner(folder: ModelFolder, choice: Choice, threads: int, gpu: bool, cache: str) -> Runner:
    prepared = folder.engine.network(folder.loader, choice.engine, choice.precision)
    if prepared is None and not ENGINES[choice.engine].torch:
        raise ModelError(f"{folder.path}: {no_network(folder.loader, choice.engine, choice.precision)}")
    network = folder.path / prepared if prepared else folder.weights
    runner: Runner = _module(choice.engine).open_network(
        Task(folder, network, choice.precision, choice.batch_sizes, threads, gpu, cache)
    )
    return runner


def _module(engine: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{engine}")
