"""Declare the loader of ONNX networks, with their weights in the same file or in files next to it."""

from pathlib import Path

from worker.contract.declarations import LoaderDeclaration
from worker.contract.model_files import GRAPHS

USUAL = tuple(name for name in GRAPHS if name.endswith(".onnx"))


def _detects(folder: Path) -> bool:
    return any((folder / name).is_file() for name in USUAL)


LOADER = LoaderDeclaration(
    name="onnx",
    precedence=90,
    module="exported",
    format="onnx",
    suffixes=(".onnx",),
    detects=_detects,
    marker=USUAL[0],
    weights=(
        r"model\.onnx([._]data(_\d+)?)?",
        r"onnx/model\.onnx([._]data(_\d+)?)?",
        r"(onnx/)?model_quantized\.onnx([._]data)?",
    ),
)
