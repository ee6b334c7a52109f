"""Export networks of torch to ONNX."""

from collections.abc import Sequence
from pathlib import Path

import torch

from scripts.models.tools.prepare.converters.onnx_format import MAX_ONE_FILE_BYTES, OPSET
from worker.engines.batch import BYTE_RANGE
from worker.models.input import Input

EXAMPLE_IMAGES = 2  # images in the example batch: with 1, a network's code may squeeze the batch dimension


class FromBytes(torch.nn.Module):
    """A wrapper of `network` (float32 [N, C, H, W], normalised -> logits) that takes uint8 [N, H, W, C]."""

    def __init__(self, network: torch.nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1) * BYTE_RANGE)
        self.register_buffer("scale", 1 / (torch.tensor(std).view(1, -1, 1, 1) * BYTE_RANGE))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pixels = images.permute(0, 3, 1, 2).to(torch.float32)
        return self.network((pixels - self.mean) * self.scale)


def export(network: torch.nn.Module, model_input: Input, path: Path) -> None:
    """Write `path`: uint8 [N, H, W, C] -> float32 logits, with weights above MAX_ONE_FILE_BYTES in a second file."""
    height, width = model_input.geometry.size
    wrapped = FromBytes(network, model_input.mean, model_input.std).eval()
    example = torch.zeros(EXAMPLE_IMAGES, height, width, len(model_input.mean), dtype=torch.uint8)
    weights = sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())
    torch.onnx.export(
        wrapped, (example,), path, dynamo=True, dynamic_shapes=({0: torch.export.Dim.DYNAMIC},), opset_version=OPSET,
        input_names=["images"], output_names=["logits"], external_data=weights > MAX_ONE_FILE_BYTES, verbose=False,
    )  # fmt: skip
