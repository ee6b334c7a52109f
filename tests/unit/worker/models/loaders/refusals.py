"""What a loader says when it refuses."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.contract.fields import ModelError


class Code:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.path}",)


def refusal(path: Path, attempt: Callable[[], object]) -> str:
    """What `attempt` is refused with, `path` written as F."""
    with pytest.raises(ModelError) as caught:
        attempt()
    return str(caught.value).replace(str(path), "F")
