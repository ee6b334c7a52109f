"""Declare the loader of state dicts for an architecture of torchvision or timm, or for a network in network.py."""

from pathlib import Path

from worker.contract.declarations import LoaderDeclaration
from worker.contract.model_files import STATE_DICTS

NETWORK_CODE = "network.py"


def _detects(folder: Path) -> bool:
    return (folder / NETWORK_CODE).is_file()


LOADER = LoaderDeclaration(
    name="checkpoint",
    precedence=10,
    suffixes=STATE_DICTS,
    detects=_detects,
    marker=NETWORK_CODE,
    can_refit=True,
)
