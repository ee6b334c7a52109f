"""The converters that make prepared networks: one module for each PreparedNetworks.name, imported on demand.

A module defines both functions of Converter. Each call runs in its own process.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from worker.models.input import Input

if TYPE_CHECKING:
    import torch


class Converter(Protocol):
    """A converter module: both functions write `path` and the network's weights next to it, and may raise anything."""

    def convert(self, network: "torch.nn.Module", model_input: Input, path: Path) -> None:
        """Write `network` (float32 [N, C, H, W], normalised -> logits) in f32, for any batch size."""

    def quantise(self, source: Path, images: np.ndarray, model_input: Input, path: Path) -> None:
        """Write the f32 network in the file `source` in int8, calibrated on uint8 `images` [N, H, W, C]."""


def converter(kind: str) -> Converter:
    """Return the converter module for prepared networks of `kind`."""
    return cast(Converter, importlib.import_module(f"{__name__}.{kind}"))
