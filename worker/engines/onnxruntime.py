"""The ONNX Runtime engine: run an ONNX network on the slot's cores.

The network has one input: uint8 images, as model preparation writes it, or normalised ones of any other type, as users'
own files have it, in NCHW or NHWC. For the latter, images are normalised while they are copied into the batch. That is
not slower: ONNX Runtime does not fuse normalisation with the network.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from worker.contract.toml_reader import ModelError
from worker.engines.batch import BYTE_RANGE, Inputs, fill, fitting_size
from worker.engines.runner import Task
from worker.models.input import Input
from worker.models.loaders.companion_files import companion_files
from worker.models.loaders.tensor_layout import BATCHED, NCHW, layout_for

BYTES = "tensor(uint8)"
TYPES = {BYTES: np.uint8, "tensor(int8)": np.int8, "tensor(float16)": np.float16, "tensor(double)": np.float64}
NEWER = ("IR version", "opset")  # in the reasons of a file that is newer than ONNX Runtime
ERRORS_ONLY = 3  # onnxruntime's severity level; its warnings concern its own optimiser


def open_network(task: Task) -> "OnnxRuntimeEngine":
    """Open the network of `task`; raise ModelError if ONNX Runtime cannot read it."""
    tensor = task.folder.output.tensor
    return OnnxRuntimeEngine(task.network, task.folder.input, task.batch_sizes, task.threads, tensor)


class OnnxRuntimeEngine:
    """Run an ONNX network on uint8 images [H, W, C].

    `tensor` names the output that has the logits, "" if there is one. A network that takes one batch size alone is run
    as often as a batch needs.
    """

    def __init__(
        self, network: Path, model_input: Input, batch_sizes: Sequence[int], threads: int, tensor: str = ""
    ) -> None:
        companion_files(network)  # raises ModelError for missing weights and Git LFS pointers
        try:
            self._session = ort.InferenceSession(network, _options(threads), providers=["CPUExecutionProvider"])
        except Exception as error:  # a damaged file can raise almost anything
            reason = " ".join(str(error).split())
            newer = any(word in reason for word in NEWER)
            remedy = "export it for an older opset and IR version" if newer else "copy it again"
            raise ModelError(f"{network}: not a network that ONNX Runtime can read: {reason}; {remedy}") from error
        self._input = self._session.get_inputs()[0]
        sides = [side if isinstance(side, int) else None for side in self._input.shape]
        self._output = tensor or self._session.get_outputs()[0].name
        self._layout, self._batched = layout_for(sides[-3:], model_input.shape), len(sides) == BATCHED
        self._fixed = sides[0] if self._batched else 1
        self._mean, self._scale = (self._arranged(values) for values in _per_channel(model_input))
        sizes = (self._fixed,) if self._fixed else batch_sizes
        self._batches = {size: self._new_batch(size, model_input) for size in sizes}

    def infer(self, images: Inputs) -> np.ndarray:
        """Return float32 logits [N, classes] of uint8 `images`, each [H, W, C]."""
        if self._fixed:
            step = self._fixed
            return np.concatenate([self._run(images[start : start + step]) for start in range(0, len(images), step)])
        return self._run(images)

    def _run(self, images: Inputs) -> np.ndarray:
        batch = self._batches[fitting_size(self._batches, images)]
        if self._input.type == BYTES:
            fill(batch, [self._arranged(image) for image in images])
        else:
            self._normalise(batch, images)
        values = batch.astype(TYPES.get(self._input.type, np.float32), copy=False)
        logits = self._session.run([self._output], {self._input.name: values if self._batched else values[0]})[0]
        return np.asarray(logits, np.float32).reshape(len(batch), -1)[: len(images)]

    def _new_batch(self, size: int, model_input: Input) -> np.ndarray:
        shape = self._arranged(np.empty(model_input.shape, np.uint8)).shape
        return np.zeros((size, *shape), np.uint8 if self._input.type == BYTES else np.float32)

    def _arranged(self, image: np.ndarray) -> np.ndarray:
        """Return a view of `image` [H, W, C] in the network's layout."""
        return image.transpose(2, 0, 1) if self._layout == NCHW else image

    def _normalise(self, batch: np.ndarray, images: Inputs) -> None:
        for row, image in zip(batch, images, strict=False):
            np.subtract(self._arranged(image), self._mean, out=row)
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
    """Return the mean and 1 / std for values from 0 to 255, each float32 [1, 1, C]."""
    mean, std = (np.array(values, np.float32).reshape(1, 1, -1) for values in (model_input.mean, model_input.std))
    return mean * np.float32(BYTE_RANGE), 1 / (std * np.float32(BYTE_RANGE))
