"""What makes prepared networks: a module for each kind (PreparedNetworks.name), imported when its turn comes.

A module offers both functions of Converter. Each call runs in a process of its own.
"""

import importlib
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch

from worker.models.input import Input


class Converter(Protocol):
    """Both functions write `path`, and beside it what the network needs. They may raise anything."""

    def convert(self, network: torch.nn.Module, model_input: Input, path: Path) -> None:
        """Write `network` (float32 [N, C, H, W], normalised -> logits) in f32, for any batch size."""

    def quantise(self, source: Path, images: np.ndarray, model_input: Input, path: Path) -> None:
        """Write the f32 network in the file `source` in int8, calibrated on uint8 `images` [N, H, W, C]."""


def converter(kind: str) -> Converter:
    """Return what makes the prepared networks called `kind`."""
    return cast(Converter, importlib.import_module(f"{__name__}.{kind}"))
