"""A run that is killed at a chosen effect on the disk."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


class Killed(BaseException):
    """What ends a run at once."""


def kill_at(patched: pytest.MonkeyPatch, reached: int) -> Iterator[int]:
    """Let the `reached`th effect on the disk from now on raise Killed instead; return the count of effects."""
    count = itertools.count(1)

    def killing(made: Callable[..., object]) -> Callable[..., object]:
        def effect(*arguments: object, **options: object) -> object:
            if next(count) == reached:
                raise Killed
            return made(*arguments, **options)

        return effect

    effects = [(Path, name) for name in ("mkdir", "write_text", "chmod", "replace")]
    for owner, name in [*effects, (os, "fsync"), (os, "chown"), (shutil, "copy2")]:
        patched.setattr(owner, name, killing(getattr(owner, name)))
    return count
