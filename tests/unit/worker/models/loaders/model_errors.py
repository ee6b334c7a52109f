"""The messages of the ModelErrors that loaders raise."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.contract.toml_reader import ModelError


class PickledCommand:
    """An object whose pickle creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.path}",)


def model_error(path: Path, attempt: Callable[[], object]) -> str:
    """Return the message of the ModelError that `attempt` raises, with F for `path`."""
    with pytest.raises(ModelError) as caught:
        attempt()
    return str(caught.value).replace(str(path), "F")
