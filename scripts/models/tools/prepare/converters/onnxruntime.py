"""Convert to ONNX networks whose input is uint8 [N, H, W, C]."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from scripts.models.tools.prepare.converters.samples import normalised
from worker.engines.batch import BYTE_RANGE
from worker.models.input import Input

EXAMPLE_IMAGES = 2  # images in the example batch: with 1, a network's code may squeeze the batch dimension
MAX_ONE_FILE_BYTES = 1_800_000_000  # bytes of weights that fit into one ONNX file: protobuf's limit is 2 GiB
OPSET = 18  # of ONNX; the pinned onnxruntime and its quantiser support all of it


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


def convert(network: torch.nn.Module, model_input: Input, path: Path) -> None:
    """Write `path`: uint8 [N, H, W, C] -> float32 logits, with weights above MAX_ONE_FILE_BYTES in a second file."""
    height, width = model_input.geometry.size
    wrapped = FromBytes(network, model_input.mean, model_input.std).eval()
    example = torch.zeros(EXAMPLE_IMAGES, height, width, len(model_input.mean), dtype=torch.uint8)
    weights = sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())
    torch.onnx.export(
        wrapped, (example,), path, dynamo=True, dynamic_shapes=({0: torch.export.Dim.DYNAMIC},), opset_version=OPSET,
        input_names=["images"], output_names=["logits"], external_data=weights > MAX_ONE_FILE_BYTES, verbose=False,
    )  # fmt: skip


def quantise(source: Path, images: np.ndarray, model_input: Input, path: Path) -> None:
    """Write `path`, the float32 ONNX network `source` in int8 (QDQ format), with the same input."""
    graph_input = onnx.load(source, load_external_data=False).graph.input[0]
    takes_bytes = graph_input.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    batches = (image[None] for image in images) if takes_bytes else normalised(images, model_input)
    large = sum(file.stat().st_size for file in source.parent.glob(f"{source.name}*")) > MAX_ONE_FILE_BYTES
    quantize_static(
        source, path, Samples(graph_input.name, batches), quant_format=QuantFormat.QDQ, per_channel=True,
        reduce_range=True, use_external_data_format=large,
    )  # fmt: skip


class Samples(CalibrationDataReader):
    """Batches for a network's input `name`, one at a time."""

    def __init__(self, name: str, batches: Iterable[np.ndarray]) -> None:
        self._batches = ({name: batch} for batch in batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)
