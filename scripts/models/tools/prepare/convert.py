"""The network of a folder in the formats of the other engines: float32, any batch size."""

from collections.abc import Sequence
from pathlib import Path

import openvino as ov
import torch

from worker.engines.batch import BYTE_RANGE
from worker.models.input import Input

TRACED = 2  # pictures in the example batch: with 1, a network's code may take the batch for a dimension to drop
ONE_FILE = 1_800_000_000  # bytes of weights that a single ONNX file can hold: protobuf ends at 2 GiB
OPSET = 18  # of ONNX; every part of it is known to the locked onnxruntime and its quantiser


class FromBytes(torch.nn.Module):
    """`network` (float32 NCHW, normalised -> logits) taking uint8 NHWC instead."""

    def __init__(self, network: torch.nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1) * BYTE_RANGE)
        self.register_buffer("scale", 1 / (torch.tensor(std).view(1, -1, 1, 1) * BYTE_RANGE))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        pixels = pictures.permute(0, 3, 1, 2).to(torch.float32)
        return self.network((pixels - self.mean) * self.scale)


def to_openvino(network: torch.nn.Module, model_input: Input, path: Path) -> None:
    """Write `path` (.xml, and .bin beside it): float32 [N, C, H, W], normalised -> logits."""
    shape = [len(model_input.mean), *model_input.geometry.size]
    converted = ov.convert_model(
        network, example_input=torch.zeros(TRACED, *shape), input=[(ov.PartialShape([-1, *shape]), ov.Type.f32)]
    )
    ov.save_model(converted, path, compress_to_fp16=False)


def to_onnx(network: torch.nn.Module, model_input: Input, path: Path) -> None:
    """Write `path`: uint8 [N, H, W, C] -> float32 logits, with its weights inside unless they are too many."""
    height, width = model_input.geometry.size
    whole = FromBytes(network, model_input.mean, model_input.std).eval()
    example = torch.zeros(TRACED, height, width, len(model_input.mean), dtype=torch.uint8)
    weights = sum(one.numel() * one.element_size() for one in network.parameters())
    torch.onnx.export(
        whole, (example,), path, dynamo=True, dynamic_shapes=({0: torch.export.Dim.DYNAMIC},), opset_version=OPSET,
        input_names=["pictures"], output_names=["logits"], external_data=weights > ONE_FILE, verbose=False,
    )  # fmt: skip
