"""Declare the loader of TensorFlow Lite's networks."""

from worker.contract.declarations import LoaderDeclaration

LOADER = LoaderDeclaration(
    name="tflite",
    precedence=100,
    module="converted",
    format="tflite",
    suffixes=(".tflite",),
    converted_to="openvino",
    weights=(r"model\.tflite",),
)
