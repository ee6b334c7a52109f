"""Declare the loader of snapshot folders with ModelScope's image classifiers."""

import re
from pathlib import Path

from worker.contract.declarations import LoaderDeclaration

WEIGHTS, META_INFO = "pytorch_model.pt", "meta_info.txt"


def _detects(folder: Path) -> bool:
    return (folder / WEIGHTS).is_file()


LOADER = LoaderDeclaration(
    name="modelscope",
    precedence=50,
    detects=_detects,
    marker=WEIGHTS,
    needs_architecture=True,
    can_refit=True,
    settings=("configuration.json", META_INFO, "*label*.txt"),
    weights=(re.escape(WEIGHTS),),
)
