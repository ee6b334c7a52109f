"""Declare the loader of state dicts for torchvision's classifiers."""

from worker.contract.declarations import LoaderDeclaration
from worker.contract.model_files import STATE_DICTS

LOADER = LoaderDeclaration(
    name="torchvision",
    precedence=60,
    suffixes=STATE_DICTS,
    needs_architecture=True,
    can_refit=True,
)
