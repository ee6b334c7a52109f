"""Small ONNX networks of every shape that exporters write, with their answers by ONNX's own reference."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from tests.folders import SIZE

CLASSES = 3
OPSET, IR_VERSION = 18, 10
Shape = Sequence[int | str]


@dataclass(frozen=True)
class OnnxSpec:
    """What the network looks like from outside; `tail` are operations after the logits "y", on [N, CLASSES].

    `layout` is NCHW or NHWC; `outputs` are names, element types and shapes.
    """

    shape: Shape
    layout: str = "NCHW"
    type: int = TensorProto.FLOAT
    tail: Sequence[tuple[str, Sequence[str], Sequence[str], dict[str, Any]]] = ()
    outputs: Sequence[tuple[str, int, Shape]] = (("y", TensorProto.FLOAT, ("n", CLASSES)),)
    head: Sequence[tuple[str, Sequence[str], Sequence[str], dict[str, Any]]] = ()  # on the input "x", to "h"
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    half: bool = False  # whether it computes in float16
    opset: int = OPSET
    ir_version: int = IR_VERSION
    external: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    inputs: Sequence[str] = ()  # further inputs, which nothing uses


def write_onnx(path: Path, spec: OnnxSpec) -> Path:
    """Write a convolution, a mean over the image and a classifier as `spec` says; return `path`."""
    rng, real = np.random.default_rng(3), np.dtype(np.float16 if spec.half else np.float32)
    channels = spec.shape[-1 if spec.layout == "NHWC" else -3]
    channels = channels if isinstance(channels, int) else 3
    constants = {
        "kernel": (rng.normal(size=(8, channels, 3, 3)) / 4).astype(real),
        "weights": (rng.normal(size=(8, CLASSES)) * 2).astype(real),
        **spec.constants,
    }
    nodes = [helper.make_node(kind, inputs, outputs, **options) for kind, inputs, outputs, options in spec.head]
    name = "h" if spec.head else "x"
    if spec.type in (TensorProto.UINT8, TensorProto.INT8) or (spec.half and spec.type != TensorProto.FLOAT16):
        to = TensorProto.FLOAT16 if spec.half else TensorProto.FLOAT
        nodes.append(helper.make_node("Cast", [name], ["real"], to=to))
        name = "real"
    if len(spec.shape) == 3:
        constants["first"] = np.array([0])
        nodes.append(helper.make_node("Unsqueeze", [name, "first"], ["batch"]))
        name = "batch"
    if spec.layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [name], ["nchw"], perm=[0, 3, 1, 2]))
        name = "nchw"
    nodes += [
        helper.make_node("Conv", [name, "kernel"], ["conv"], strides=[2, 2]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("GlobalAveragePool", ["relu"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["y"]),
        *(helper.make_node(kind, inputs, outputs, **options) for kind, inputs, outputs, options in spec.tail),
    ]
    taken = [helper.make_tensor_value_info("x", spec.type, spec.shape)]
    taken += [helper.make_tensor_value_info(other, TensorProto.FLOAT, [1, 4]) for other in spec.inputs]
    nodes += [helper.make_node("Identity", [other], [f"{other}_seen"]) for other in spec.inputs]
    given = [helper.make_tensor_value_info(*output) for output in spec.outputs]
    given += [helper.make_tensor_value_info(f"{other}_seen", TensorProto.FLOAT, [1, 4]) for other in spec.inputs]
    weights = [numpy_helper.from_array(value, key) for key, value in constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "small", taken, given, weights),
        opset_imports=[helper.make_opsetid("", spec.opset)], ir_version=spec.ir_version,
    )  # fmt: skip
    helper.set_model_props(model, spec.metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path, save_as_external_data=spec.external, location=f"{path.name}.data", size_threshold=16)
    return path


def by_reference(path: Path, spec: OnnxSpec, pixels: np.ndarray, values: np.ndarray, output: str = "") -> np.ndarray:
    """Return the output of ONNX's reference for each of `pixels`, uint8 [N, SIZE, SIZE, C]: float32 [N, CLASSES].

    `values` are the same images normalised, float32 [N, SIZE, SIZE, C], for a network that does not take bytes.
    """
    session: Any = ReferenceEvaluator(str(path))
    values = np.rint(values) if spec.type == TensorProto.INT8 else values
    taken = pixels if spec.type == TensorProto.UINT8 else values.astype(helper.tensor_dtype_to_np_dtype(spec.type))
    batch = spec.shape[0] if len(spec.shape) == 4 and isinstance(spec.shape[0], int) else 1
    rows = []
    for image in taken:
        arranged = image.transpose(2, 0, 1) if spec.layout == "NCHW" else image
        feed = arranged if len(spec.shape) == 3 else np.stack([arranged] * batch)
        rows.append(np.asarray(session.run([output or spec.outputs[0][0]], {"x": feed})[0]).reshape(batch, -1)[0])
    return np.stack(rows).astype(np.float32)


def sides(channels: int = 3, layout: str = "NCHW", batch: int | str = "n", side: int | str = SIZE) -> Shape:
    """Return the shape of a batch of square images."""
    return (batch, channels, side, side) if layout == "NCHW" else (batch, side, side, channels)
