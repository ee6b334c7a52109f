"""Declare the loader of networks in OpenVINO's own format: an .xml, and its weights in a .bin next to it."""

from worker.contract.declarations import LoaderDeclaration

LOADER = LoaderDeclaration(
    name="openvino",
    precedence=80,
    module="exported",
    format="openvino",
    suffixes=(".xml",),
    weights=(r"openvino_model\.(xml|bin)",),
)
