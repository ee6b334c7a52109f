"""What an exported network takes and gives, read from its graph by OpenVINO."""

from dataclasses import dataclass
from pathlib import Path

import openvino as ov
from openvino import opset13 as ops

from worker.contract.toml_reader import ModelError, abbreviate
from worker.models.loaders.companion_files import companion_files
from worker.models.loaders.tensor_layout import BATCHED, NCHW, NHWC, Sides, find_layout

BYTE_TYPES = ("u8", "i8")
UNKNOWN_OPERATION = "No conversion rule found"  # in OpenVINO's reasons
SINK = "/sink_port_"  # OpenVINO appends it to the name of an ONNX output


@dataclass(frozen=True)
class GraphInput:
    """The input of a network: its layout, its sides (None: dynamic), and OpenVINO's name of its element type."""

    layout: str
    channels: int | None
    height: int | None
    width: int | None
    type: str


def read(path: Path) -> ov.Model:
    """Return the network in `path`. Raise ModelError if it cannot be read or lacks its weights."""
    companion_files(path)
    try:
        return ov.Core().read_model(path)
    except Exception as error:  # a damaged file may make OpenVINO raise anything
        unknown = UNKNOWN_OPERATION in str(error)
        remedy = "export it with ONNX's own operations, an int8 one in QDQ format" if unknown else "copy it again"
        raise ModelError(f"{path}: not a network that OpenVINO can read: {reason_of(error)}; {remedy}") from error


def reason_of(error: Exception) -> str:
    """Return the last lines of an exception of OpenVINO, which say what is wrong, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[-2:])


def read_input(network: ov.Model, path: Path) -> GraphInput:
    """Return the input of `network`. Raise ModelError, naming `path`, unless it is one image or a batch of them."""
    shapes = [each.get_partial_shape() for each in network.inputs]
    if len(shapes) != 1 or shapes[0].rank.is_dynamic or len(shapes[0]) not in (BATCHED - 1, BATCHED):
        found = abbreviate([f"{name_of(each)} {each.get_partial_shape()}" for each in network.inputs]) or "no input"
        raise ModelError(
            f"{path}: takes {found}, needed one input, of images [N, channels, height, width] or "
            "[N, height, width, channels]: export the network with that input alone"
        )
    sides = image_sides(network)
    layout = stated_layout(network) or find_layout(sides)
    if layout is None:
        raise ModelError(
            f"{path}: takes {shapes[0]}, where the channels may come first or last: "
            "export it with a height and width that differ from the number of channels, or with dynamic ones"
        )
    channels, height, width = sides if layout == NCHW else (sides[2], *sides[:2])
    return GraphInput(layout, channels, height, width, network.input(0).get_element_type().get_type_name())


def image_sides(network: ov.Model) -> Sides:
    """Return the three sides of one image in the only input of `network`."""
    shape = network.input(0).get_partial_shape()
    return [side.get_length() if side.is_static else None for side in list(shape)[-3:]]


def stated_layout(network: ov.Model) -> str | None:
    """Return the layout that an .xml states for its input, None if it states none of the two."""
    layout = network.input(0).get_node().layout
    if layout.empty or not layout.has_name("C"):
        return None
    index = layout.get_index_by_name("C")
    return NHWC if index in (-1, len(network.input(0).get_partial_shape()) - 1) else NCHW


def name_of(port: ov.Output) -> str:
    """Return the name by which the exporter calls an input or output: ONNX Runtime finds it by the same name."""
    name = port.get_node().get_friendly_name().partition(SINK)[0]
    names = sorted(port.get_names())
    return name if name in names or not names else names[0]


def with_output(network: ov.Model, name: str, path: Path) -> ov.Model:
    """Return `network` with the output `name` alone; "" stands for its first one.

    Raise ModelError, naming `path`, if it has no such output.
    """
    if len(network.outputs) == 1 and not name:
        return network
    names = [name_of(output) for output in network.outputs]
    if name and name not in names:
        raise ModelError(f"{path}: has no output {name!r}, model.toml says [output] tensor = {name!r}: found {names}")
    result = network.get_results()[names.index(name) if name else 0]
    return ov.Model([result], network.get_parameters(), network.get_friendly_name())


def with_batch(network: ov.Model) -> ov.Model:
    """Return `network` for a batch of one if it takes a single image without a batch, else as it is."""
    (parameter,) = network.get_parameters()
    shape = parameter.get_partial_shape()
    if len(shape) == BATCHED:
        return network
    batch = ops.parameter(ov.PartialShape([1, *shape]), parameter.get_element_type(), parameter.get_friendly_name())
    for target in parameter.output(0).get_target_inputs():
        target.replace_source_output(ops.squeeze(batch, [0]).output(0))
    return ov.Model(network.get_results(), [batch], network.get_friendly_name())


def fixed_batch(network: ov.Model) -> int | None:
    """Return the only batch size that `network` takes; None if it takes any, perhaps after reshaping.

    A network exported for one batch size may have it in its graph, too: then its output does not follow its input.
    """
    batch, *sides = network.input(0).get_partial_shape()
    if batch.is_dynamic:
        return None
    larger = batch.get_length() + 1
    trial = network.clone()
    try:
        trial.reshape(ov.PartialShape([larger, *sides]))
        first = trial.output(0).get_partial_shape()[0]
    except Exception:  # OpenVINO raises RuntimeError of many kinds for a graph that does not allow it
        return batch.get_length()
    return None if first.is_static and first.get_length() == larger else batch.get_length()
