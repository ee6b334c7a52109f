"""The engines, behind one face. Each is imported only when it is chosen: torch costs 200 MB and two seconds."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from worker.contract import machine
from worker.contract.engine import READS, Choice, no_network
from worker.contract.fields import ModelError
from worker.engines.batch import Pictures
from worker.models.folder import ModelFolder


class Runner(Protocol):
    """What runs a network: pictures, each uint8 [H, W, C] -> float32 logits [N, classes], N up to the largest batch.

    One call at a time: the memory that pictures are copied into is used again.
    """

    def infer(self, pictures: Pictures) -> np.ndarray: ...


@dataclass(frozen=True)
class Engine:
    """A network ready to run, and why by this engine."""

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

    def infer(self, pictures: Pictures) -> np.ndarray:
        """Float32 logits [N, classes] of `pictures`, each uint8 [H, W, C], in the smallest batch that holds them."""
        return self.runner.infer(pictures)


def load_engine(folder: ModelFolder, wanted: str, threads: int, gpu: str = "", cache: str = "") -> Engine:
    """Load `folder`'s network into what it chooses for this kind of machine, or into the engine `wanted` unless "auto".

    `gpu` is the UUID of the slot's GPU, "" for none; `cache` a folder for compiled networks, "" for none.
    Raises ModelError when that engine cannot run this folder.
    """
    choice = folder.engine.choose(machine.kind(gpu), wanted)
    return Engine(choice, _runner(folder, choice, threads, bool(gpu), cache))


def _runner(folder: ModelFolder, choice: Choice, threads: int, gpu: bool, cache: str) -> Runner:
    prepared = folder.engine.network(folder.loader, choice.engine, choice.precision)
    if prepared is None and choice.engine in READS:
        raise ModelError(f"{folder.path}: {no_network(folder.loader, choice.engine, choice.precision)}")
    network = folder.path / prepared if prepared else folder.weights
    if choice.engine == "openvino":
        return _openvino(folder, choice, network, threads, cache)
    if choice.engine == "onnxruntime":
        from worker.engines.onnxruntime import OnnxRuntimeEngine

        return OnnxRuntimeEngine(network, folder.input, choice.batch_sizes, threads)
    from worker.engines.torch import TorchEngine
    from worker.models.loaders import load_network

    # Some networks are exported for one batch size, and their loader compares.
    fitted = replace(folder, engine=replace(folder.engine, batch_sizes=choice.batch_sizes))
    return TorchEngine(load_network(fitted), folder.input, choice.precision, choice.batch_sizes, threads, gpu)


def _openvino(folder: ModelFolder, choice: Choice, network: Path, threads: int, cache: str) -> Runner:
    from worker.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(network, folder.input, choice.precision, choice.batch_sizes, threads, cache)
