"""Sources of models: a module for each kind finds out which files serving needs and how to download them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# The environment variable that sets a mirror, by kind of source.
MIRRORS = {
    "hf": "HF_ENDPOINT",
    "ms": "MODELSCOPE_ENDPOINT",
    "torchvision": "WANWU_TORCHVISION_MIRROR",
    "timm": "HF_ENDPOINT",
}


class FetchError(Exception):
    """A source that cannot be fetched; one line per fault, each with its remedy."""


@dataclass(frozen=True)
class Remote:
    """A file to fetch: its path in the model's folder, its size in bytes if known, and the hash of its content.

    `digest` is "sha256:" or "git:" (the id of a git blob) followed by lower-case hex digits, or by the first of
    them; "" if the source publishes none.
    """

    path: str
    size: int | None
    digest: str = ""


@dataclass(frozen=True)
class Plan:
    """The files to fetch. `get` downloads one of them into a folder and resumes an interrupted download."""

    source: str  # as recorded in model.toml, with the version that was found
    files: tuple[Remote, ...]
    get: Callable[[Remote, Path], None]
    loader: str = ""
    architecture: str = ""
