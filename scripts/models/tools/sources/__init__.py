"""Where models come from: a module for each kind of source finds out which files serving needs, and how to get them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Of each kind of source, the variable that names another place to fetch from.
MIRRORS = {
    "hf": "HF_ENDPOINT", "ms": "MODELSCOPE_ENDPOINT", "torchvision": "WANWU_TORCHVISION_MIRROR", "timm": "HF_ENDPOINT"
}  # fmt: skip


class FetchError(Exception):
    """What cannot be fetched; one line a fault, each with its remedy."""


@dataclass(frozen=True)
class Remote:
    """A file to fetch: its place in the model's folder, its bytes where known, and what its content must hash to.

    `digest` is "sha256:" or "git:" (the name of a git blob) with lower-case hex, of which a beginning is enough;
    "" where nobody publishes one.
    """

    path: str
    size: int | None
    digest: str = ""


@dataclass(frozen=True)
class Plan:
    """What to fetch. `get` brings one file into a folder, going on from what an earlier attempt left there."""

    source: str  # as model.toml records it, with the version that was found
    files: tuple[Remote, ...]
    get: Callable[[Remote, Path], None]
    loader: str = ""
    architecture: str = ""
