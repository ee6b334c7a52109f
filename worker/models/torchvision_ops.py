"""Make torchvision importable with a torch build that its compiled operators do not match.

A CPU build of torch cannot load the operators of a torchvision built for CUDA. Importing torchvision then fails,
because it registers shapes for undeclared operators. Classifiers use none of them, so declaring their schemas is
enough.
"""

import importlib.util
import os

import torch

SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}

_declared: list[torch.library.Library] = []  # torch drops the declarations when these objects are deleted


def make_importable() -> None:
    """Declare the operators that torchvision needs; do nothing if torchvision works or is not installed."""
    package = importlib.util.find_spec("torchvision")
    if _declared or package is None or package.origin is None:
        return
    if _compiled_operators_load(os.path.dirname(package.origin)):
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in SCHEMAS.values():
        library.define(schema)
    _declared.append(library)


def _compiled_operators_load(folder: str) -> bool:
    try:
        torch.ops.load_library(f"{folder}/_C.so")
    except OSError:
        return False
    return True
