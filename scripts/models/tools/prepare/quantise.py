"""Post-training quantisation to int8, its ranges taken from pictures.

Weights use 7 of 8 bits: a processor without VNNI adds pairs of products in 16 bits, which 8 bits would overflow, and a
folder is served on processors of every kind.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import nncf
import numpy as np
import onnx
import openvino as ov
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from scripts.models.tools.prepare.convert import ONE_FILE
from worker.engines.batch import BYTE_RANGE
from worker.models.input import Input
from worker.models.loaders.prepared import read


def normalised(pictures: np.ndarray, model_input: Input) -> Iterator[np.ndarray]:
    """Each of uint8 `pictures` [N, H, W, C] as float32 [1, C, H, W], as the network sees it."""
    mean, std = np.array(model_input.mean, np.float32), np.array(model_input.std, np.float32)
    for picture in pictures:
        values = (picture.astype(np.float32) / BYTE_RANGE - mean) / std
        yield np.ascontiguousarray(values.transpose(2, 0, 1)[None])


def to_openvino(source: Path, pictures: np.ndarray, model_input: Input, path: Path) -> None:
    """Write `path`, the float32 network in `source` in int8, calibrated on uint8 `pictures` [N, H, W, C]."""
    network = read(source)
    ov.save_model(quantised(network, list(normalised(pictures, model_input))), path, compress_to_fp16=False)


def quantised(network: ov.Model, samples: list[np.ndarray]) -> ov.Model:
    """`network` in int8, its ranges those of `samples`, each an input of it."""
    kind = nncf.ModelType.TRANSFORMER if has_attention(network) else None
    preset = nncf.QuantizationPreset.MIXED  # signed where values are: activations are not all behind a ReLU
    dataset = nncf.Dataset(samples)
    return nncf.quantize(
        network, dataset, preset=preset, model_type=kind, subset_size=len(samples), fast_bias_correction=True,
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE),
    )  # fmt: skip


def is_quantised(source: Path) -> bool:
    """Whether the network in `source`, OpenVINO's or ONNX, is int8 already."""
    return any(operation.get_type_name() == "FakeQuantize" for operation in read(source).get_ops())


def has_attention(network: ov.Model) -> bool:
    """Whether the graph multiplies what comes out of a softmax with something: attention weights with values."""
    kinds = {operation.get_type_name() for operation in network.get_ops()}
    fed = (
        target.get_node().get_type_name()
        for operation in network.get_ops()
        if operation.get_type_name() == "Softmax"
        for target in operation.output(0).get_target_inputs()
    )
    return "ScaledDotProductAttention" in kinds or "MatMul" in fed


class Samples(CalibrationDataReader):
    """Batches for a network's input `name`, one at a time."""

    def __init__(self, name: str, batches: Iterable[np.ndarray]) -> None:
        self._batches = ({name: batch} for batch in batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


def to_onnx(source: Path, pictures: np.ndarray, model_input: Input, path: Path) -> None:
    """Write `path`, the float32 ONNX network in `source` in int8 of QDQ form, taking what that takes."""
    entry = onnx.load(source, load_external_data=False).graph.input[0]
    takes_bytes = entry.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    batches = (picture[None] for picture in pictures) if takes_bytes else normalised(pictures, model_input)
    large = sum(file.stat().st_size for file in source.parent.glob(f"{source.name}*")) > ONE_FILE
    quantize_static(
        source, path, Samples(entry.name, batches), quant_format=QuantFormat.QDQ, per_channel=True,
        reduce_range=True, use_external_data_format=large,
    )  # fmt: skip
