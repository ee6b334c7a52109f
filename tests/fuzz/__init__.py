"""Fuzzing: random inputs for the parsers of everything that comes from outside, each target in a module of its own.

A target's module has `examples()`, a strategy of inputs as bytes; `vary(random, data)`, a variant of one; and
`opened(folder)`, a function that takes one input and raises for whatever should not happen: an exception other than the
documented ones, or an answer without a contract.
"""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Protocol

from hypothesis.strategies import SearchStrategy

TARGETS = ("decode", "forms", "json_bodies", "tensors", "model_toml", "cluster_toml")
INPUT_S = 30  # that one input may take before it counts as a hang
Check = Callable[[bytes], None]


class Target(Protocol):
    """The module of a target."""

    def examples(self) -> SearchStrategy[bytes]: ...

    def vary(self, random: Random, data: bytes) -> bytes: ...

    def opened(self, folder: Path) -> Check: ...
