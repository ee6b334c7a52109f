"""The ONNX Runtime engine: run an ONNX network on the slot's cores.

The network has one input: uint8 [N, H, W, C], as model preparation writes it, or normalised float32 [N, C, H, W], as
users' own files have it. For the latter, images are normalised while they are copied into the batch. That is not
slower: ONNX Runtime does not fuse normalisation with the network.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from worker.contract.fields import ModelError
from worker.engines.batch import BYTE_RANGE, Inputs, fill, fitting_size
from worker.engines.runner import Task
from worker.models.input import Input
from worker.models.loaders.companion_files import companion_files

BYTES = "tensor(uint8)"
ERRORS_ONLY = 3  # onnxruntime's severity level; its warnings concern its own optimiser


def open_network(task: Task) -> "OnnxRuntimeEngine":
    """Open the network of `task`; raise ModelError if ONNX Runtime cannot read it."""
    return OnnxRuntimeEngine(task.network, task.folder.input, task.batch_sizes, task.threads)


class OnnxRuntimeEngine:
    """Run an ONNX network on uint8 images [H, W, C]."""

    def __init__(self, network: Path, model_input: Input, batch_sizes: Sequence[int], threads: int) -> None:
        companion_files(network)  # raises ModelError for missing weights and Git LFS pointers
        try:
            self._session = ort.InferenceSession(network, _options(threads), providers=["CPUExecutionProvider"])
        except Exception as error:  # a damaged file can raise almost anything
            reason = " ".join(str(error).split())
            raise ModelError(f"{network}: not a network that ONNX Runtime can read: {reason}; copy it again") from error
        self._input = self._session.get_inputs()[0]
        self._mean, self._scale = _per_channel(model_input)
        self._batches = {size: self._new_batch(size, model_input) for size in batch_sizes}

    def infer(self, images: Inputs) -> np.ndarray:
        """Return float32 logits [N, classes] of uint8 `images`, each [H, W, C]."""
        batch = self._batches[fitting_size(self._batches, images)]
        if self._input.type == BYTES:
            fill(batch, images)
        else:
            self._normalise(batch, images)
        logits = self._session.run(None, {self._input.name: batch})[0][: len(images)]
        return np.asarray(logits, np.float32)

    def _new_batch(self, size: int, model_input: Input) -> np.ndarray:
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
    # By default it places threads outside the process's CPU mask.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    # Threads that spin while they wait take cores from decoding and HTTP: with both cores otherwise busy, ResNet-18
    # on two threads took 110 ms, and 79 ms with sleeping threads.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _per_channel(model_input: Input) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and 1 / std for values from 0 to 255, each float32 [C, 1, 1]."""
    mean, std = (np.array(values, np.float32).reshape(-1, 1, 1) for values in (model_input.mean, model_input.std))
    return mean * np.float32(BYTE_RANGE), 1 / (std * np.float32(BYTE_RANGE))
