"""Networks that the openvino engine reads itself: OpenVINO's own format, and ONNX with its weights in it or beside it.

They say what size they take, and nothing of how an image is prepared: the usual values of ImageNet stand in.
"""

from pathlib import Path

import openvino as ov

from worker.contract.fields import ModelError
from worker.contract.loaders import LOADERS
from worker.decode import Geometry
from worker.models.loaders import Description, guess
from worker.models.loaders.channels import RGB, normal
from worker.models.loaders.companion_files import companion_files

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
USUAL = (1, RGB, 224, 224)  # [N, C, H, W]
CROPPED = 256 / 224  # of the shorter side before the cut to the size after


def describe(path: Path, architecture: str) -> Description:
    """The size of the network's input, its files, and ImageNet's usual preparation."""
    onnx = any(file.suffix == ".onnx" for file in ([path] if path.is_file() else path.iterdir()))
    loader = "onnx" if onnx else "openvino"
    main = guess.file_in(path, LOADERS[loader].suffixes)
    return exported(loader, main, companion_files(main), *input_shape(main))


def exported(loader: str, main: Path, weights: list[Path], channels: int, height: int, width: int) -> Description:
    """A network that says the shape of its input alone."""
    size = (height, width)
    mean, std = (normal(values, channels) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return Description(
        loader=loader, architecture="", weights=main.name, files={file.name: file for file in (main, *weights)},
        geometry=Geometry(size, round(max(size) * CROPPED), "bilinear"), mean=mean, std=std,
        labels={}, activation="softmax",
    )  # fmt: skip


def read(path: Path) -> ov.Model:
    """The network in `path`; raises ModelError when it is none, or lacks its weights."""
    companion_files(path)
    try:
        return ov.Core().read_model(path)
    except Exception as error:  # OpenVINO raises whatever a damaged file provokes
        reason = " ".join(str(error).split("\n")[-2:]).strip() or str(error)
        raise ModelError(f"{path}: not a network that OpenVINO can read: {reason}; copy it again") from error


def is_quantised(path: Path) -> bool:
    """Return whether the network in `path` is int8 already. Raise ModelError."""
    return any(operation.get_type_name() == "FakeQuantize" for operation in read(path).get_ops())


def input_shape(path: Path) -> tuple[int, int, int]:
    """(channels, height, width), the usual ones where the network takes any. Raises ModelError."""
    network = read(path)
    shapes = [one.get_partial_shape() for one in network.inputs]
    shape = shapes[0]
    if len(shapes) != 1 or shape.rank.is_dynamic or len(shape) != len(USUAL):
        found = ", ".join(map(str, shapes))
        raise ModelError(f"{path}: takes {found}, needed one input [N, channels, height, width]")
    sides = (side.get_length() if side.is_static else usual for side, usual in zip(shape, USUAL, strict=True))
    _, channels, height, width = sides
    return channels, height, width
