"""The engines, behind one face. Each is imported only when it is chosen: torch costs 200 MB and two seconds."""

from typing import Protocol

import numpy as np

from worker.models.fields import ModelError
from worker.models.folder import PREPARED, ModelFolder
from worker.settings import AUTO


class Engine(Protocol):
    """What runs a network: uint8 pictures [N, H, W, 3] -> float32 logits [N, classes]."""

    name: str
    precision: str

    def infer(self, pictures: np.ndarray) -> np.ndarray: ...


def load_engine(folder: ModelFolder, chosen: str, threads: int, gpu: bool) -> Engine:
    """Load `folder`'s network into the engine `chosen`, or into the folder's own when that is "auto".

    Raises ModelError when the engine cannot run this folder.
    """
    spec = folder.engine
    name = spec.name if chosen == AUTO else chosen
    if name == "torch":
        from worker.engines.torch import TorchEngine
        from worker.models.loaders import load_network

        return TorchEngine(load_network(folder), folder.input, spec.precision, threads, gpu)
    if folder.loader not in PREPARED:
        raise ModelError(
            f'{folder.path}: engine openvino needs a prepared OpenVINO network, found loader "{folder.loader}"; '
            'set [engine] name = "torch" in model.toml'
        )
    from worker.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(folder.weights, folder.input, spec.precision, spec.batch_sizes, threads)
