"""The ONNX Runtime engine: an ONNX network on the slot's cores.

The network's one input is either uint8 [N, H, W, C], as model preparation writes it, or float32 [N, C, H, W] of
normalised values, as users' own files have it; those are normalised here, on the way into the batch's memory. That is
not slower: ONNX Runtime fuses none of it with the network.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from worker.contract.fields import ModelError
from worker.engines.batch import BYTE_RANGE, Inputs, fill, fitting
from worker.engines.runner import Task
from worker.models.input import Input
from worker.models.loaders.companion_files import companion_files

BYTES = "tensor(uint8)"
ERRORS_ONLY = 3  # of onnxruntime's severities; its warnings are about its own optimiser


def open_network(task: Task) -> "OnnxRuntimeEngine":
    """Open the network of `task`. Raise ModelError."""
    return OnnxRuntimeEngine(task.network, task.folder.input, task.batch_sizes, task.threads)


class OnnxRuntimeEngine:
    """Runs an ONNX network on uint8 images [H, W, C]."""

    def __init__(self, network: Path, model_input: Input, batch_sizes: Sequence[int], threads: int) -> None:
        companion_files(network)  # refuses weights that are missing, and what stands in for files
        try:
            self._session = ort.InferenceSession(network, _options(threads), providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises whatever a damaged file provokes
            reason = " ".join(str(error).split())
            raise ModelError(f"{network}: not a network that ONNX Runtime can read: {reason}; copy it again") from error
        self._input = self._session.get_inputs()[0]
        self._mean, self._scale = _per_channel(model_input)
        self._batches = {size: self._memory(size, model_input) for size in batch_sizes}

    def infer(self, images: Inputs) -> np.ndarray:
        """Logits, float32 [N, classes], of uint8 `images`, each [H, W, C]."""
        batch = self._batches[fitting(self._batches, images)]
        if self._input.type == BYTES:
            fill(batch, images)
        else:
            self._normalise(batch, images)
        logits = self._session.run(None, {self._input.name: batch})[0][: len(images)]
        return np.asarray(logits, np.float32)

    def _memory(self, size: int, model_input: Input) -> np.ndarray:
        height, width, channels = model_input.shape
        if self._input.type == BYTES:
            return np.zeros((size, height, width, channels), np.uint8)
        return np.zeros((size, channels, height, width), np.float32)

    def _normalise(self, batch: np.ndarray, images: Inputs) -> None:
        for row, image in zip(batch, images, strict=False):
            np.subtract(image.transpose(2, 0, 1), self._mean, out=row)
            np.multiply(row, self._scale, out=row)


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    # Without a number of its own it places threads outside the process's mask.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    # Threads that spin while they wait take the cores from decoding and HTTP: with both cores busy otherwise,
    # ResNet-18 on two threads took 110 ms where sleeping ones took 79.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _per_channel(model_input: Input) -> tuple[np.ndarray, np.ndarray]:
    """Mean and 1 / std of values from 0 to 255, float32 [C, 1, 1]."""
    mean, std = (np.array(values, np.float32).reshape(-1, 1, 1) for values in (model_input.mean, model_input.std))
    return mean * np.float32(BYTE_RANGE), 1 / (std * np.float32(BYTE_RANGE))
