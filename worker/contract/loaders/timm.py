"""Declare the loader of timm's architectures: a file of weights, or timm's folder of config.json and weights."""

from pathlib import Path

from worker.contract.declarations import LoaderDeclaration
from worker.contract.model_files import CONFIG, holds_graph_alone, read_config


def _detects(folder: Path) -> bool:
    return "architecture" in read_config(folder) and not holds_graph_alone(folder)


LOADER = LoaderDeclaration(
    name="timm",
    precedence=40,
    detects=_detects,
    marker=f"{CONFIG} with architecture",
    needs_architecture=True,
    can_refit=True,
    described_by=CONFIG,
    settings=(CONFIG,),
    weights=(r"model\.safetensors", r"pytorch_model\.bin", r"(pytorch_)?model\.pth"),
)
