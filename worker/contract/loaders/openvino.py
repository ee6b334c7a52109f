"""Declare the loader of networks in OpenVINO's own format: an .xml, and its weights in a .bin next to it."""

from pathlib import Path

from worker.contract.declarations import LoaderDeclaration
from worker.contract.model_files import GRAPHS

USUAL = tuple(name for name in GRAPHS if name.endswith(".xml"))


def _detects(folder: Path) -> bool:
    return any((folder / name).is_file() for name in USUAL)


LOADER = LoaderDeclaration(
    name="openvino",
    precedence=80,
    module="exported",
    format="openvino",
    suffixes=(".xml",),
    detects=_detects,
    marker=USUAL[0],
    weights=(r"openvino_model\.(xml|bin)", r"openvino/openvino_model\.(xml|bin)"),
)
