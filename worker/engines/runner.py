"""What an engine's module is asked to do, and what it returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from worker.engines.batch import Inputs
from worker.models.folder import ModelFolder


class Runner(Protocol):
    """What runs a network: images, each uint8 [H, W, C] -> float32 logits [N, classes], N up to the largest batch.

    One call at a time: the memory that images are copied into is used again.
    """

    def infer(self, images: Inputs) -> np.ndarray: ...


@dataclass(frozen=True)
class Task:
    """The network that an engine opens: a prepared file, or the folder's own weights.

    `gpu` says whether it runs on the one GPU that this process sees; `cache` is a folder for what can be made again,
    "" for none.
    """

    folder: ModelFolder
    network: Path
    precision: str
    batch_sizes: Sequence[int]
    threads: int
    gpu: bool
    cache: str
