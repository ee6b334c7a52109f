"""ONNX networks, with their weights inside or beside them."""

from worker.contract.declarations import LoaderDeclaration

LOADER = LoaderDeclaration(
    name="onnx",
    precedence=90,
    module="prepared",
    format="onnx",
    suffixes=(".onnx",),
    weights=(r"model\.onnx([._]data)?",),
)
