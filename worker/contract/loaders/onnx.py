"""Declare the loader of ONNX networks, with their weights in the same file or in files next to it."""

from worker.contract.declarations import LoaderDeclaration

LOADER = LoaderDeclaration(
    name="onnx",
    precedence=90,
    module="exported",
    format="onnx",
    suffixes=(".onnx",),
    weights=(r"model\.onnx([._]data)?",),
)
