"""The torch engine: the network as its library built it, on the slot's cores or its GPU."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch

from worker.contract.fields import ModelError
from worker.engines.batch import BYTE_RANGE, Inputs, fill, fitting
from worker.engines.runner import Task
from worker.models.input import Input
from worker.models.loaders import load_network

DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
TRIAL_RUNS = 3  # before a capture: libraries choose their kernels and take their workspaces in the first runs

Forward = Callable[[torch.Tensor], torch.Tensor]  # uint8 [N, H, W, C] -> float32 logits [N, classes], on the device
log = logging.getLogger(__name__)


def open_network(task: Task) -> "TorchEngine":
    """Build the network of `task`. Raise ModelError."""
    # Some networks are exported for one batch size, and their loader compares.
    engine = replace(task.folder.engine, batch_sizes=tuple(task.batch_sizes))
    network = load_network(replace(task.folder, engine=engine))
    return TorchEngine(network, task.folder.input, task.precision, task.batch_sizes, task.threads, task.gpu)


class TorchEngine:
    """Runs a network (float32 NCHW, normalised -> logits) on uint8 images [H, W, C]."""

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
            raise ModelError("engine torch runs fp16 on a GPU alone; prepare the model on this kind of machine")
        torch.set_num_threads(threads)
        # The slot's GPU is the only one this process can see, so it is always the first.
        device = torch.device("cuda:0" if gpu else "cpu")
        forward = _forward(network, model_input, DTYPES[precision], device)
        shape = model_input.shape
        prepare = _graphs() if gpu else Eager
        self._batches = {size: prepare(forward, (size, *shape), device) for size in batch_sizes}

    def infer(self, images: Inputs) -> np.ndarray:
        """Logits, float32 [N, classes], of uint8 `images`, each [H, W, C]."""
        return self._batches[fitting(self._batches, images)].run(images)


class Batch(Protocol):
    """One batch size and its memory."""

    def run(self, images: Inputs) -> np.ndarray: ...


class Eager:
    """Runs operator by operator."""

    def __init__(self, forward: Forward, shape: tuple[int, ...], device: torch.device) -> None:
        self._forward, self._device = forward, device
        self._host = torch.zeros(shape, dtype=torch.uint8, pin_memory=device.type == "cuda")

    def run(self, images: Inputs) -> np.ndarray:
        fill(self._host.numpy(), images)
        with torch.inference_mode():
            logits = self._forward(self._host.to(self._device, non_blocking=True))
        return logits[: len(images)].cpu().numpy()


class Captured:
    """Replays a CUDA graph: all kernels of the network by one launch, for a small network waits for nothing else.

    The graphs of all sizes may share `pool`, for they never run at once and nothing is kept from one to the next.
    """

    def __init__(self, forward: Forward, shape: tuple[int, ...], device: torch.device, pool: object) -> None:
        self._host = torch.zeros(shape, dtype=torch.uint8, pin_memory=True)
        self._images = torch.zeros(shape, dtype=torch.uint8, device=device)
        self._graph = torch.cuda.CUDAGraph()
        with torch.inference_mode():
            self._try(forward)
            with torch.cuda.graph(self._graph, pool=pool):
                self._logits = forward(self._images)
        self._answer = torch.empty(self._logits.shape, pin_memory=True)

    def run(self, images: Inputs) -> np.ndarray:
        fill(self._host.numpy(), images)
        self._images.copy_(self._host, non_blocking=True)
        self._graph.replay()
        self._answer.copy_(self._logits, non_blocking=True)
        torch.cuda.current_stream().synchronize()
        return self._answer[: len(images)].numpy().copy()

    def _try(self, forward: Forward) -> None:
        """Run it beside the stream that is captured, as captures ask for."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(TRIAL_RUNS):
                forward(self._images)
        torch.cuda.current_stream().wait_stream(aside)


def _graphs() -> Callable[[Forward, tuple[int, ...], torch.device], Batch]:
    """What prepares a batch size on the GPU: captured where the network lets itself be, else eager."""
    torch.backends.cudnn.benchmark = True  # every shape comes again and again
    pool = torch.cuda.graph_pool_handle()

    def prepare(forward: Forward, shape: tuple[int, ...], device: torch.device) -> Batch:
        try:
            return Captured(forward, shape, device, pool)
        except RuntimeError as error:  # code that asks the GPU for a value, as in `if x.max() > 0`
            log.warning("batches of %d run without a CUDA graph: %s", shape[0], str(error).splitlines()[0])
            return Eager(forward, shape, device)

    return prepare


def _forward(network: torch.nn.Module, model_input: Input, dtype: torch.dtype, device: torch.device) -> Forward:
    """`network` in `dtype` on `device`, from bytes to float32 logits."""
    # Weights changed once: autocast would change them in every run, an eighth of ResNet-18's time in bf16.
    network = network.to(device, dtype, memory_format=torch.channels_last)
    mean, std = (
        torch.tensor(values, device=device).view(1, -1, 1, 1) * BYTE_RANGE
        for values in (model_input.mean, model_input.std)
    )
    scale = 1 / std

    def forward(images: torch.Tensor) -> torch.Tensor:
        # NHWC seen as NCHW is channels_last already: no copy.
        pixels = images.permute(0, 3, 1, 2).to(torch.float32)
        return network(((pixels - mean) * scale).to(dtype)).float()

    return forward
