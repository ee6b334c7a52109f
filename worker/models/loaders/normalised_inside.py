"""Tell from the first steps of an exported network which values it takes, where it normalises them itself."""

from collections.abc import Iterator

import numpy as np
import openvino as ov

from worker.models.loaders.graph import BYTE_TYPES, GraphInput

BYTES = (0.0, 1 / 255)  # mean and std of a network that takes values from 0 to 255
SIGNED_BYTES = (128 / 255, 1 / 255)  # from -128 to 127
UNIT = (0.0, 1.0)  # from 0 to 1
PASSING = ("Convert", "Transpose", "Reshape", "Squeeze", "Unsqueeze")
# Of values from 0 to 255, a network's own normalisation divides by 58 to 255, or first subtracts 100 to 130.
MAX_BYTE_SCALE, MIN_BYTE_OFFSET, MIN_BYTE_RANGE = 1 / 20, 50.0, 50.0
UNIT_SCALES, UNIT_MEANS = (1.8, 5.5), (0.3, 0.6)  # 1 / std and mean of values from 0 to 1


def value_range(network: ov.Model, graph_input: GraphInput) -> tuple[float, float] | None:
    """Return the mean and std, on a scale of 0 to 1, that give the values which `network` normalises itself.

    None if it seems to take normalised values.
    """
    if graph_input.type in BYTE_TYPES:
        return BYTES if graph_input.type == "u8" else SIGNED_BYTES
    scale, offset = np.ones(1), np.zeros(1)  # the network first computes values * scale + offset
    for kind, constant in _first_steps(network):
        if kind == "FakeQuantize":  # its constant is the largest value that it keeps
            largest = float(np.max(constant))
            return BYTES if np.allclose(scale, 1) and np.allclose(offset, 0) and largest > MIN_BYTE_RANGE else None
        if kind in ("Multiply", "Divide"):
            factor = constant if kind == "Multiply" else 1 / constant
            scale, offset = scale * factor, offset * factor
        else:
            offset = offset + (constant if kind == "Add" else -constant)
    if np.abs(scale).max() <= MAX_BYTE_SCALE or (np.allclose(scale, 1) and np.abs(offset).max() >= MIN_BYTE_OFFSET):
        return BYTES
    means = -offset / scale
    inside = UNIT_SCALES[0] <= scale.min() and scale.max() <= UNIT_SCALES[1]
    return UNIT if inside and UNIT_MEANS[0] <= means.min() and means.max() <= UNIT_MEANS[1] else None


def _first_steps(network: ov.Model) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the operations with a constant for each channel, or one for all, that the network begins with."""
    port = network.input(0)
    while len(targets := list(port.get_target_inputs())) == 1:
        node = targets[0].get_node()
        kind = node.get_type_name()
        if kind == "FakeQuantize":
            yield kind, _constant(node, 2)
            return
        if kind not in PASSING:
            constant = _constant(node, 1 - targets[0].get_index()) if node.get_input_size() == 2 else np.empty(0)
            if kind not in ("Multiply", "Divide", "Add", "Subtract") or constant.size not in (1, 3):
                return
            if targets[0].get_index() and kind in ("Divide", "Subtract"):  # constant - values
                return
            yield kind, constant.reshape(-1).astype(np.float64)
        port = node.output(0)


def _constant(node: ov.Node, index: int) -> np.ndarray:
    source = node.input_value(index).get_node()
    while source.get_type_name() == "Convert":
        source = source.input_value(0).get_node()
    return np.asarray(source.data) if source.get_type_name() == "Constant" else np.empty(0)
