"""Declare the loader of transformers' image classifiers: config.json, preprocessor_config.json and weights."""

from pathlib import Path

from worker.contract.declarations import LoaderDeclaration
from worker.contract.model_files import CONFIG, PREPROCESSOR, holds_graph_alone, read_config


def _detects(folder: Path) -> bool:
    known = read_config(folder)
    if "model_type" not in known or "architecture" in known:  # a config.json with both is timm's
        return False
    return not holds_graph_alone(folder)


LOADER = LoaderDeclaration(
    name="transformers",
    precedence=30,
    detects=_detects,
    marker=f"{CONFIG} with model_type",
    can_refit=True,
    described_by=PREPROCESSOR,
    settings=(CONFIG, PREPROCESSOR),
    weights=(
        r"model\.safetensors",
        r"model(\.safetensors\.index\.json|-\d{5}-of-\d{5}\.safetensors)",
        r"pytorch_model\.bin",
        r"pytorch_model(\.bin\.index\.json|-\d{5}-of-\d{5}\.bin)",
    ),
)
