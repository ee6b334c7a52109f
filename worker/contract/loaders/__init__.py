"""The registry of loaders: each module in this package declares one. worker/models/README.md explains how."""

from worker.contract.declarations import TORCH, LoaderDeclaration, discover

# In the order in which they try to recognise a model.
LOADERS = {
    loader.name: loader
    for loader in sorted(
        discover(__name__, __path__, LoaderDeclaration), key=lambda loader: (loader.precedence, loader.name)
    )
}


def format_of(loader: str) -> str:
    """Return the format of the networks that `loader` reads; TORCH for an unknown loader."""
    return LOADERS[loader].format if loader in LOADERS else TORCH


def reads_texts(loader: str) -> bool:
    """Return whether the networks of `loader` compare images with texts; False for an unknown loader."""
    return loader in LOADERS and LOADERS[loader].reads_texts


def loaders_with(**values: object) -> tuple[str, ...]:
    """Return the names of the loaders whose declarations have all of the given values."""
    return tuple(
        name for name, loader in LOADERS.items() if all(getattr(loader, key) == value for key, value in values.items())
    )
