"""The interface of an engine's module: the task that it receives and the runner that it returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from worker.engines.batch import Inputs
from worker.models.folder import ModelFolder


class Runner(Protocol):
    """A network ready to run: images, each uint8 [H, W, C] -> float32 logits [N, classes], N up to the largest batch.

    Call it from one thread at a time: the buffer that images are copied into is reused.
    """

    def infer(self, images: Inputs) -> np.ndarray: ...


@dataclass(frozen=True)
class Task:
    """The network that an engine opens: a prepared file, or the folder's own weights.

    `gpu` says whether to run it on the one GPU visible to this process; `cache` is a folder for files that can be
    rebuilt, or "".
    """

    folder: ModelFolder
    network: Path
    precision: str
    batch_sizes: Sequence[int]
    threads: int
    gpu: bool
    cache: str
