"""The loaders: each module here declares one, and is found by being here. worker/models/README.md says how."""

from worker.contract.declarations import TORCH, LoaderDeclaration, discovered

# By precedence: so they are asked what they recognise.
LOADERS = {
    loader.name: loader
    for loader in sorted(
        discovered(__name__, __path__, LoaderDeclaration), key=lambda loader: (loader.precedence, loader.name)
    )
}


def format_of(loader: str) -> str:
    """Return the format of the networks that `loader` reads; of a loader that is not known, what torch builds."""
    return LOADERS[loader].format if loader in LOADERS else TORCH


def reads_texts(loader: str) -> bool:
    """Return whether the networks of `loader` compare images with texts."""
    return loader in LOADERS and LOADERS[loader].reads_texts


def declaring(**facts: object) -> tuple[str, ...]:
    """Return the names of the loaders that declare all of `facts`."""
    return tuple(
        name for name, loader in LOADERS.items() if all(getattr(loader, key) == value for key, value in facts.items())
    )
