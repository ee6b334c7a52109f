"""The torch engine: run a network as its library builds it, on the slot's cores or its GPU."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch

from worker.contract.toml_reader import ModelError
from worker.engines.batch import BYTE_RANGE, Inputs, fill, fitting_size
from worker.engines.runner import Task
from worker.models.input import Input
from worker.models.loaders import load_network

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
WARM_UP_RUNS = 3  # before a capture: libraries choose kernels and allocate workspaces in their first runs

Forward = Callable[[torch.Tensor], torch.Tensor]  # uint8 [N, H, W, C] -> float32 logits [N, classes], on the device
log = logging.getLogger(__name__)


def open_network(task: Task) -> "TorchEngine":
    """Build the network of `task`; raise ModelError if its loader or this engine cannot."""
    # Some networks are exported for one batch size; their loader compares it with these.
    engine = replace(task.folder.engine, batch_sizes=tuple(task.batch_sizes))
    network = load_network(replace(task.folder, engine=engine))
    return TorchEngine(network, task.folder.input, task.precision, task.batch_sizes, task.threads, task.gpu)


class TorchEngine:
    """Run a network (normalised float32 NCHW -> logits) on uint8 images [H, W, C]."""

    def __init__(
        self,
        network: torch.nn.Module,
        model_input: Input,
        precision: str,
        batch_sizes: Sequence[int],
        threads: int,
        gpu: bool,
    ) -> None:
        if precision == "fp16" and not gpu:
            raise ModelError("engine torch runs fp16 only on a GPU; prepare the model on this kind of machine")
        torch.set_num_threads(threads)
        # The slot's GPU is the only one visible to this process, so it is always the first.
        device = torch.device("cuda:0" if gpu else "cpu")
        forward = _forward(network, model_input, DTYPES[precision], device)
        shape = model_input.shape
        prepare = _graphs() if gpu else Eager
        self._batches = {size: prepare(forward, (size, *shape), device) for size in batch_sizes}

    def infer(self, images: Inputs) -> np.ndarray:
        """Return float32 logits [N, classes] of uint8 `images`, each [H, W, C]."""
        return self._batches[fitting_size(self._batches, images)].run(images)


class Batch(Protocol):
    """One batch size and its buffers."""

    def run(self, images: Inputs) -> np.ndarray: ...


class Eager:
    """Run the network operator by operator."""

    def __init__(self, forward: Forward, shape: tuple[int, ...], device: torch.device) -> None:
        self._forward, self._device = forward, device
        self._host = torch.zeros(shape, dtype=torch.uint8, pin_memory=device.type == "cuda")

    def run(self, images: Inputs) -> np.ndarray:
        fill(self._host.numpy(), images)
        with torch.inference_mode():
            logits = self._forward(self._host.to(self._device, non_blocking=True))
        return logits[: len(images)].cpu().numpy()


class Captured:
    """Replay a CUDA graph: one launch starts all kernels, because launches take most of a small network's time.

    The graphs of all sizes may share `pool`: they never run at the same time, and none keeps data for another.
    """

    def __init__(self, forward: Forward, shape: tuple[int, ...], device: torch.device, pool: object) -> None:
        self._host = torch.zeros(shape, dtype=torch.uint8, pin_memory=True)
        self._images = torch.zeros(shape, dtype=torch.uint8, device=device)
        self._graph = torch.cuda.CUDAGraph()
        with torch.inference_mode():
            self._warm_up(forward)
            with torch.cuda.graph(self._graph, pool=pool):
                self._logits = forward(self._images)
        self._host_logits = torch.empty(self._logits.shape, pin_memory=True)

    def run(self, images: Inputs) -> np.ndarray:
        fill(self._host.numpy(), images)
        self._images.copy_(self._host, non_blocking=True)
        self._graph.replay()
        self._host_logits.copy_(self._logits, non_blocking=True)
        torch.cuda.current_stream().synchronize()
        return self._host_logits[: len(images)].numpy().copy()

    def _warm_up(self, forward: Forward) -> None:
        """Run the network on a side stream before the capture, as CUDA graphs require."""
        side_stream = torch.cuda.Stream()
        side_stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side_stream):
            for _ in range(WARM_UP_RUNS):
                forward(self._images)
        torch.cuda.current_stream().wait_stream(side_stream)


def _graphs() -> Callable[[Forward, tuple[int, ...], torch.device], Batch]:
    """Return a function that prepares a batch size on the GPU: as a CUDA graph if the capture succeeds, else eager."""
    torch.backends.cudnn.benchmark = True  # the same shapes recur
    pool = torch.cuda.graph_pool_handle()

    def prepare(forward: Forward, shape: tuple[int, ...], device: torch.device) -> Batch:
        try:
            return Captured(forward, shape, device, pool)
        except RuntimeError as error:  # code that reads a value from the GPU, as in `if x.max() > 0`
            log.warning("batches of %d run without a CUDA graph: %s", shape[0], str(error).splitlines()[0])
            return Eager(forward, shape, device)

    return prepare


def _forward(network: torch.nn.Module, model_input: Input, dtype: torch.dtype, device: torch.device) -> Forward:
    """Return `network` in `dtype` on `device` as a function from uint8 images to float32 logits."""
    # Convert weights once: autocast would convert them in every run, an eighth of ResNet-18's time in bf16.
    network = network.to(device, dtype, memory_format=torch.channels_last)
    mean, std = (
        torch.tensor(values, device=device).view(1, -1, 1, 1) * BYTE_RANGE
        for values in (model_input.mean, model_input.std)
    )
    scale = 1 / std

    def forward(images: torch.Tensor) -> torch.Tensor:
        # NHWC viewed as NCHW is already channels_last: no copy.
        pixels = images.permute(0, 3, 1, 2).to(torch.float32)
        return network(((pixels - mean) * scale).to(dtype)).float()

    return forward
