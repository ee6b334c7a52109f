"""The OpenVINO engine: run a prepared network, with the normalisation of bytes built into its graph."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import openvino as ov
from openvino.preprocess import PrePostProcessor

from worker.contract.engine import QUANTISED
from worker.contract.toml_reader import ModelError
from worker.engines.batch import BYTE_RANGE, Inputs, fill, fitting_size
from worker.engines.runner import Task
from worker.models.input import Input
from worker.models.loaders import graph
from worker.models.loaders.tensor_layout import layout_for

COMPILED = "compiled"  # in the cache: a folder for the networks of a model folder

log = logging.getLogger(__name__)


def open_network(task: Task) -> "OpenVinoEngine":
    """Open the network of `task`; raise ModelError if OpenVINO cannot read it."""
    folder, options = task.folder, engine_options(task.precision, task.threads) | _cache_options(task)
    return OpenVinoEngine(task.network, folder.input, task.batch_sizes, options, folder.output.tensor)


def require_support(precision: str) -> None:
    """Raise ModelError if OpenVINO would silently run in f32 instead."""
    if precision == "bf16" and "BF16" not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise ModelError("this CPU has no instructions for bf16")


class OpenVinoEngine:
    """Run a network file (normalised images -> logits) on uint8 images [H, W, C].

    `tensor` names the output that has the logits, "" if there is one. A network that takes one batch size alone is run
    as often as a batch needs.
    """

    def __init__(
        self,
        network: Path,
        model_input: Input,
        batch_sizes: Sequence[int],
        options: Mapping[str, object],
        tensor: str = "",
    ) -> None:
        model = graph.with_batch(graph.with_output(graph.read(network), tensor, network))
        self._fixed, core = graph.fixed_batch(model), ov.Core()
        # A graph of fixed shape is planned once. A dynamic one would be planned again for every new size, and one
        # graph for all sizes runs a single image 2 to 30% slower.
        self._batches = {}
        try:
            model = with_preprocessing(model, model_input)
            for size in (self._fixed,) if self._fixed else batch_sizes:
                model.reshape([size, *model_input.shape])
                self._batches[size] = _Batch(core.compile_model(model, "CPU", dict(options)).create_infer_request())
        except RuntimeError as error:
            raise ModelError(
                f"{network}: cannot take images of {list(model_input.shape)} [height, width, channels]: "
                f"{graph.reason_of(error)}; set [input] size and channels to what it takes"
            ) from error

    def infer(self, images: Inputs) -> np.ndarray:
        """Return float32 logits [N, classes] of uint8 `images`, each [H, W, C]."""
        if self._fixed:
            batch, step = self._batches[self._fixed], self._fixed
            return np.concatenate([batch.run(images[start : start + step]) for start in range(0, len(images), step)])
        return self._batches[fitting_size(self._batches, images)].run(images)


class _Batch:
    """One batch size: its inference request, and the buffers that every run reuses.

    Binding the buffers once saves checking the arguments of every call: 4% of ResNet-18 in int8.
    """

    def __init__(self, request: ov.InferRequest) -> None:
        self._request = request
        self._images = np.zeros(request.get_input_tensor(0).shape, np.uint8)
        request.set_input_tensor(ov.Tensor(self._images, shared_memory=True))

    def run(self, images: Inputs) -> np.ndarray:
        fill(self._images, images)
        self._request.infer()
        logits: np.ndarray = self._request.get_output_tensor(0).data.reshape(len(self._images), -1)
        return logits[: len(images)].copy()


def with_preprocessing(network: ov.Model, model_input: Input) -> ov.Model:
    """Return `network` (normalised images -> logits) changed to take uint8 NHWC and return float32 logits.

    The network's own input may be NCHW or NHWC and of any type, to which the normalised values are converted.
    """
    layout = graph.stated_layout(network) or layout_for(graph.image_sides(network), model_input.shape)
    steps = PrePostProcessor(network)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout(layout))
    convert = steps.input().preprocess().convert_element_type(ov.Type.f32)
    convert.mean([value * BYTE_RANGE for value in model_input.mean])
    convert.scale([value * BYTE_RANGE for value in model_input.std])
    steps.output().tensor().set_element_type(ov.Type.f32)
    return steps.build()


def engine_options(precision: str, threads: int) -> dict[str, object]:
    """Return the options with which a network of `precision` is compiled for `threads` threads."""
    # int8 is part of the graph (its quantisation steps); the rest of the graph runs in f32.
    return {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        # The slot's CPU mask already pins this process; OpenVINO's pinning would put every worker on the first cores.
        "ENABLE_CPU_PINNING": False,
    }


def _cache_options(task: Task) -> dict[str, object]:
    """Return the options that cache compiled networks for the next start; none unless the precision is int8.

    Those of other model files, and of another OpenVINO, are removed, as OpenVINO itself never does.

    For int8 the cache saves half of the compile time or more, 0.15 s per batch size of ResNet-18. For f32 and bf16 it
    saves almost nothing and holds the weights in memory twice. OpenVINO replaces a damaged file and continues if it
    cannot write; it fails to start only if the folder is missing.
    """
    if task.precision != QUANTISED or not task.cache:
        return {}
    present = Path(task.cache) / COMPILED / f"{task.folder.digest}-{ov.__version__.partition('-')[0]}"
    try:
        present.mkdir(parents=True, exist_ok=True)
        for former in present.parent.iterdir():
            if former != present:
                shutil.rmtree(former)
    except OSError as error:
        log.warning("cannot cache compiled networks: %s: %s", error.filename, error.strerror)
        return {}
    return {"CACHE_DIR": str(present)}
