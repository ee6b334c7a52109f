"""Convert to ONNX networks whose input is uint8 [N, H, W, C]."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx.version_converter
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from scripts.models.tools.prepare.converters.onnx_format import MAX_ONE_FILE_BYTES, OPSET
from scripts.models.tools.prepare.converters.samples import normalised
from worker.models.input import Input

if TYPE_CHECKING:
    import torch

PER_CHANNEL_OPSET = 13  # the first that can quantise each channel of a weight on its own


def convert(network: "torch.nn.Module", model_input: Input, path: Path) -> None:
    """Write `path`: uint8 [N, H, W, C] -> float32 logits, with weights above MAX_ONE_FILE_BYTES in a second file."""
    from scripts.models.tools.prepare.converters.onnx_export import export  # needs torch; quantising does not

    export(network, model_input, path)


def quantise(source: Path, images: np.ndarray, model_input: Input, path: Path) -> None:
    """Write `path`, the float32 ONNX network `source` in int8 (QDQ format), with the same input."""
    graph = onnx.load(source, load_external_data=False).graph
    weights = {weight.name for weight in graph.initializer}  # older files list them among the inputs
    graph_input = next(one for one in graph.input if one.name not in weights)
    taken = graph_input.type.tensor_type
    sides = [side.dim_value if side.HasField("dim_value") else None for side in taken.shape.dim]
    batches = normalised(images, model_input, sides, onnx.helper.tensor_dtype_to_np_dtype(taken.elem_type))
    source = _with_newer_opset(source, path.with_name(f"upgraded-{path.name}"))
    large = sum(file.stat().st_size for file in source.parent.glob(f"{source.name}*")) > MAX_ONE_FILE_BYTES
    quantize_static(
        source, path, Samples(graph_input.name, batches), quant_format=QuantFormat.QDQ, per_channel=True,
        reduce_range=True, use_external_data_format=large,
    )  # fmt: skip
    path.with_name(f"upgraded-{path.name}").unlink(missing_ok=True)


def _with_newer_opset(source: Path, upgraded: Path) -> Path:
    """Return `source`, or `upgraded` with the same network in OPSET if `source` is older than PER_CHANNEL_OPSET."""
    network = onnx.load(source, load_external_data=False)
    if all(one.version >= PER_CHANNEL_OPSET for one in network.opset_import if not one.domain):
        return source
    onnx.save(onnx.version_converter.convert_version(onnx.load(source), OPSET), upgraded)
    return upgraded


class Samples(CalibrationDataReader):
    """Batches for a network's input `name`, one at a time."""

    def __init__(self, name: str, batches: Iterable[np.ndarray]) -> None:
        self._batches = ({name: batch} for batch in batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)
