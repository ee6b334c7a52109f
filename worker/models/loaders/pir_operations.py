"""The operations of PaddlePaddle's image classifiers, translated to OpenVINO's.

Each function takes the operation's attributes and its inputs in their order, None for one that is left out, and returns
its output, or a list for several. The semantics are those of paddle/phi/ops/yaml/ops.yaml.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

Value = Any  # ov.Output, or a list of them
Attributes = dict[str, Any]
SPATIAL = [2, 3]  # height and width in NCHW


def _constant(values: object, dtype: str = "i64") -> ov.Output:
    return ops.constant(np.array(values), dtype=getattr(ov.Type, dtype)).output(0)


def _numbers(value: Value) -> list[int]:
    """Return the numbers of a constant input."""
    return [int(number) for number in np.asarray(value.get_node().data).ravel()]


def _vector(value: Value) -> ov.Output:
    """Return sizes as one vector: some operations take them as a list of single numbers."""
    if not isinstance(value, list):
        return ops.convert(value, "i64").output(0)
    return ops.concat([ops.reshape(ops.convert(one, "i64"), [1], False) for one in value], 0).output(0)


def _padding(attributes: Attributes) -> tuple[str, list[int], list[int]]:
    """Return OpenVINO's kind of padding, and the padding before and after each side."""
    kind, sides = attributes["padding_algorithm"], attributes["paddings"]
    begins, ends = (sides[::2], sides[1::2]) if len(sides) > len(SPATIAL) else (sides, sides)
    return {"SAME": "same_upper", "VALID": "valid"}.get(kind, "explicit"), list(begins), list(ends)


def _conv2d(attributes: Attributes, values: Value, weights: Value) -> ov.Output:
    pad, begins, ends = _padding(attributes)
    options = attributes["strides"], begins, ends, attributes["dilations"]
    groups = attributes["groups"]
    if groups == 1:
        return ops.convolution(values, weights, *options, auto_pad=pad).output(0)
    outputs, *others = weights.get_shape()
    grouped = ops.reshape(weights, [groups, outputs // groups, *others], False)
    return ops.group_convolution(values, grouped, *options, auto_pad=pad).output(0)


def _pool2d(attributes: Attributes, values: Value, kernel: Value) -> ov.Output:
    size, largest = _numbers(kernel), attributes["pooling_type"] == "max"
    if attributes["global_pooling"] or (attributes["adaptive"] and size == [1, 1]):
        return (ops.reduce_max if largest else ops.reduce_mean)(values, SPATIAL, True).output(0)
    if attributes["adaptive"]:
        pool = ops.adaptive_max_pool if largest else ops.adaptive_avg_pool
        return pool(values, _constant(size)).output(0)
    pad, begins, ends = _padding(attributes)
    rounding, strides = "ceil" if attributes["ceil_mode"] else "floor", attributes["strides"]
    if largest:
        return ops.max_pool(values, strides, [1, 1], begins, ends, size, rounding, pad).output(0)
    return ops.avg_pool(values, strides, begins, ends, size, attributes["exclusive"], rounding, pad).output(0)


def _batch_norm(
    attributes: Attributes, values: Value, mean: Value, variance: Value, scale: Value, bias: Value
) -> ov.Output:
    return ops.batch_norm_inference(values, scale, bias, mean, variance, attributes["epsilon"]).output(0)


def _layer_norm(attributes: Attributes, values: Value, scale: Value, bias: Value) -> ov.Output:
    axes = list(range(attributes["begin_norm_axis"], len(values.get_partial_shape())))
    norm = ops.mvn(values, _constant(axes), True, attributes["epsilon"], "inside_sqrt")
    scaled = norm if scale is None else ops.multiply(norm, scale)
    return (scaled if bias is None else ops.add(scaled, bias)).output(0)


def _scale(attributes: Attributes, values: Value, factor: Value) -> ov.Output:
    bias = _constant(attributes["bias"], "f32")
    if attributes["bias_after_scale"]:
        return ops.add(ops.multiply(values, factor), bias).output(0)
    return ops.multiply(ops.add(values, bias), factor).output(0)


def _flatten(attributes: Attributes, values: Value) -> ov.Output:
    rank = len(values.get_partial_shape())
    start, stop = attributes["start_axis"] % rank, attributes["stop_axis"] % rank
    shape = [*([0] * start), -1]
    if stop < rank - 1:
        shape += [side.get_length() for side in list(values.get_partial_shape())[stop + 1 :]]
    return ops.reshape(values, shape, True).output(0)


def _slice(attributes: Attributes, values: Value, starts: Value, ends: Value) -> ov.Output:
    axes = attributes["axes"]
    cut = ops.slice(values, _vector(starts), _vector(ends), _constant([1] * len(axes)), _constant(axes))
    removed = attributes.get("decrease_axis") or []
    return (ops.squeeze(cut, _constant(removed)) if removed else cut).output(0)


def _split(attributes: Attributes, values: Value, sections: Value = None, axis: Value = None) -> list[ov.Output]:
    if isinstance(values, list):  # PIR's own operation, which takes the list apart
        return values
    return list(ops.variadic_split(values, axis, _vector(sections)).outputs())


def _split_with_num(attributes: Attributes, values: Value, axis: Value) -> list[ov.Output]:
    return list(ops.split(values, axis, attributes["num"]).outputs())


def _reduced(reduce: Callable[..., ov.Node]) -> Callable[..., ov.Output]:
    def translated(attributes: Attributes, values: Value, axis: Value = None) -> ov.Output:
        axes = _numbers(axis) if axis is not None else list(attributes["axis"])
        axes = axes or list(range(len(values.get_partial_shape())))
        return reduce(values, _constant(axes), attributes["keepdim"]).output(0)

    return translated


def _unary(make: Callable[[Value], ov.Node]) -> Callable[..., ov.Output]:
    return lambda attributes, values, *_: make(values).output(0)


def _binary(make: Callable[[Value, Value], ov.Node]) -> Callable[..., ov.Output]:
    return lambda attributes, left, right: make(left, right).output(0)


def _full(attributes: Attributes) -> ov.Output:
    dtype = {"float32": np.float32, "int64": np.int64, "int32": np.int32}[attributes["dtype"]]
    return ops.constant(np.full(attributes["shape"], attributes["value"], dtype)).output(0)


def _dropout(attributes: Attributes, values: Value, seed: Value = None, share: Value = None) -> ov.Output:
    """Older layers drop values without scaling the others up, and scale all down when they serve."""
    if attributes["mode"] != "downgrade_in_infer":
        return values
    kept = ops.subtract(_constant(1.0, "f32"), ops.convert(share, "f32"))
    return ops.multiply(values, kept).output(0)


def _expand(attributes: Attributes, values: Value, shape: Value) -> ov.Output:
    kept = ops.maximum(_vector(shape), _constant(1))  # a side of -1 stays as it is
    return ops.broadcast(values, kept, broadcast_spec="BIDIRECTIONAL").output(0)


def _stack(attributes: Attributes, values: Value) -> ov.Output:
    axis = attributes["axis"]
    return ops.concat([ops.unsqueeze(one, _constant(axis)) for one in values], axis).output(0)


def _passed(attributes: Attributes, values: Value, *_: Value) -> ov.Output:
    return values


def _combined(attributes: Attributes, *values: Value) -> Sequence[Value]:
    return list(values)


OPERATIONS: dict[str, Callable[..., Value]] = {
    "add": _binary(ops.add),
    "subtract": _binary(ops.subtract),
    "multiply": _binary(ops.multiply),
    "divide": _binary(ops.divide),
    "bmm": lambda _, left, right: ops.matmul(left, right, False, False).output(0),
    "matmul": lambda a, left, right: ops.matmul(left, right, a["transpose_x"], a["transpose_y"]).output(0),
    "conv2d": _conv2d,
    "depthwise_conv2d": _conv2d,
    "pool2d": _pool2d,
    "batch_norm": _batch_norm,
    "batch_norm_": _batch_norm,
    "layer_norm": _layer_norm,
    "relu": _unary(ops.relu),
    "relu_": _unary(ops.relu),
    "relu6": _unary(lambda values: ops.clamp(values, 0.0, 6.0)),
    "hardswish": _unary(ops.hswish),
    "hardsigmoid": lambda a, values: ops.hard_sigmoid(
        values, _constant(a["slope"], "f32"), _constant(a["offset"], "f32")
    ).output(0),
    "sigmoid": _unary(ops.sigmoid),
    "silu": _unary(ops.swish),
    "swish": _unary(ops.swish),
    "tanh": _unary(ops.tanh),
    "exp": _unary(ops.exp),
    "sqrt": _unary(ops.sqrt),
    "mish": _unary(ops.mish),
    "gelu": lambda a, values: ops.gelu(values, "TANH" if a.get("approximate") else "ERF").output(0),
    "leaky_relu": lambda a, values: ops.prelu(values, _constant([a["negative_slope"]], "f32")).output(0),
    "softmax": lambda a, values: ops.softmax(values, a["axis"]).output(0),
    "scale": _scale,
    "scale_": _scale,
    "dropout": _dropout,
    "assign": _passed,
    "mean": _reduced(ops.reduce_mean),
    "sum": _reduced(ops.reduce_sum),
    "max": _reduced(ops.reduce_max),
    "flatten": _flatten,
    "reshape": lambda _, values, shape: ops.reshape(values, _vector(shape), True).output(0),
    "transpose": lambda a, values: ops.transpose(values, _constant(a["perm"])).output(0),
    "squeeze": lambda _, values, axis: ops.squeeze(values, axis).output(0),
    "unsqueeze": lambda _, values, axis: ops.unsqueeze(values, axis).output(0),
    "concat": lambda _, values, axis: ops.concat(values, _numbers(axis)[0]).output(0),
    "combine": _combined,
    "expand": _expand,
    "stack": _stack,
    "slice": _slice,
    "split": _split,
    "split_with_num": _split_with_num,
    "shape": _unary(ops.shape_of),
    "shape64": _unary(ops.shape_of),
    "full": _full,
    "full_int_array": lambda a: _constant(a["value"]),
}
