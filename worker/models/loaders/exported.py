"""Describe exported networks: OpenVINO's own format, and ONNX with its weights inside or in files next to it.

They state the shape of their input but not the preprocessing, for which ImageNet's usual values are used.
"""

from pathlib import Path

import openvino as ov

from worker.contract.fields import ModelError
from worker.contract.loaders import LOADERS
from worker.decode import Geometry
from worker.models.loaders import Description, detect
from worker.models.loaders.channels import RGB, normalisation
from worker.models.loaders.companion_files import companion_files

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DEFAULT_SHAPE = (1, RGB, 224, 224)  # [N, C, H, W]
RESIZE_FACTOR = 256 / 224  # the shorter side before the crop, relative to the size after it


def describe(path: Path, architecture: str) -> Description:
    """Return the description: the network's input shape and files, and ImageNet's usual preprocessing.

    Raise ModelError if it cannot be read.
    """
    onnx = any(file.suffix == ".onnx" for file in ([path] if path.is_file() else path.iterdir()))
    loader = "onnx" if onnx else "openvino"
    main = detect.find_file(path, LOADERS[loader].suffixes)
    return description_from_shape(loader, main, companion_files(main), *input_shape(main))


def description_from_shape(
    loader: str, main: Path, weights: list[Path], channels: int, height: int, width: int
) -> Description:
    """Return the description of a network of which only the shape of the input is known."""
    size = (height, width)
    mean, std = (normalisation(values, channels) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return Description(
        loader=loader, architecture="", weights=main.name, files={file.name: file for file in (main, *weights)},
        geometry=Geometry(size, round(max(size) * RESIZE_FACTOR), "bilinear"), mean=mean, std=std,
        labels={}, activation="softmax",
    )  # fmt: skip


def read(path: Path) -> ov.Model:
    """Return the network in `path`. Raise ModelError if it cannot be read or lacks its weights."""
    companion_files(path)
    try:
        return ov.Core().read_model(path)
    except Exception as error:  # a damaged file may make OpenVINO raise anything
        reason = " ".join(str(error).split("\n")[-2:]).strip() or str(error)
        raise ModelError(f"{path}: not a network that OpenVINO can read: {reason}; copy it again") from error


def is_quantised(path: Path) -> bool:
    """Return whether the network in `path` is int8. Raise ModelError if it cannot be read."""
    return any(operation.get_type_name() == "FakeQuantize" for operation in read(path).get_ops())


def input_shape(path: Path) -> tuple[int, int, int]:
    """Return the input's (channels, height, width), with the values of USUAL for dynamic dimensions.

    Raise ModelError unless the network has one input [N, C, H, W].
    """
    network = read(path)
    shapes = [each.get_partial_shape() for each in network.inputs]
    shape = shapes[0]
    if len(shapes) != 1 or shape.rank.is_dynamic or len(shape) != len(DEFAULT_SHAPE):
        found = ", ".join(map(str, shapes))
        raise ModelError(f"{path}: takes {found}, needed one input [N, channels, height, width]")
    sides = (
        side.get_length() if side.is_static else default for side, default in zip(shape, DEFAULT_SHAPE, strict=True)
    )
    _, channels, height, width = sides
    return channels, height, width
