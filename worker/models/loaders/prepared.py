"""Networks that the openvino engine reads itself: OpenVINO's own format, and ONNX with its weights in it or beside it.

They say what size they take, and nothing of how a picture is prepared: the usual values of ImageNet stand in.
"""

import mmap
import re
from pathlib import Path

import openvino as ov

from worker.decode import Geometry
from worker.models.fields import ModelError
from worker.models.folder import PREPARED
from worker.models.loaders import Description, guess
from worker.models.loaders.lfs import refuse_pointer

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
USUAL_SIZE = 224
CROPPED = 256 / 224  # of the shorter side before the cut to the size after
CHANNELS = 3
LOCATION = re.compile(rb"\n\x08location\x12(.)", re.DOTALL)  # ONNX: names a file with weights, after its length
FORMATS = dict(zip(PREPARED, (".xml", ".onnx"), strict=True))


def describe(path: Path, architecture: str) -> Description:
    """The size of the network's input, its files, and ImageNet's usual preparation."""
    suffix = ".onnx" if path.suffix == ".onnx" else FORMATS["openvino"]
    if path.is_dir():
        suffix = ".onnx" if any(file.suffix == ".onnx" for file in path.iterdir()) else suffix
    main = guess.file_in(path, (suffix,))
    beside = _beside(main)
    return exported("onnx" if suffix == ".onnx" else "openvino", main, beside, input_size(main))


def exported(loader: str, main: Path, beside: list[Path], size: tuple[int, int]) -> Description:
    """A network that says its `size` alone."""
    resize = round(max(size) * CROPPED)
    return Description(
        loader=loader, architecture="", weights=main.name, files={file.name: file for file in (main, *beside)},
        geometry=Geometry(size, resize, "bilinear"), mean=IMAGENET_MEAN, std=IMAGENET_STD,
        labels={}, activation="softmax",
    )  # fmt: skip


def read(path: Path) -> ov.Model:
    """The network in `path`; raises ModelError when it is none, or lacks its weights."""
    for file in (path, *_beside(path)):
        refuse_pointer(file)
    try:
        return ov.Core().read_model(path)
    except Exception as error:  # OpenVINO raises whatever a damaged file provokes
        reason = " ".join(str(error).split("\n")[-2:]).strip() or str(error)
        raise ModelError(f"{path}: not a network that OpenVINO can read: {reason}; copy it again") from error


def input_size(path: Path) -> tuple[int, int]:
    """(height, width) in pixels, the usual one where the network takes any. Raises ModelError."""
    network = read(path)
    shapes = [one.get_partial_shape() for one in network.inputs]
    shape = shapes[0]
    if len(shapes) != 1 or shape.rank.is_dynamic or len(shape) != 4 or not shape[1].compatible(ov.Dimension(CHANNELS)):
        found = ", ".join(map(str, shapes))
        raise ModelError(f"{path}: takes {found}, needed one input [N, {CHANNELS}, height, width]")
    height, width = (side.get_length() if side.is_static else USUAL_SIZE for side in (shape[2], shape[3]))
    return height, width


def _beside(main: Path) -> list[Path]:
    """The files that hold the weights of `main`. Raises ModelError when one is not there."""
    refuse_pointer(main)
    weights = [main.with_suffix(".bin")] if main.suffix == ".xml" else [main.parent / name for name in _external(main)]
    for file in weights:
        if file.parent.resolve() != main.parent.resolve():
            raise ModelError(f"{main}: has weights in {file}; needed them in the same folder")
        if not file.is_file():
            raise ModelError(f"{file}: not found; {main.name} needs it for its weights, copy it to the same folder")
    return weights


def _external(main: Path) -> list[str]:
    """The names of the files that an ONNX file keeps weights in."""
    if not main.stat().st_size:
        return []
    with main.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return sorted({data[one.end() : one.end() + one[1][0]].decode() for one in LOCATION.finditer(data)})
