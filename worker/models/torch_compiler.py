"""Import libraries of networks without torch's compiler, which takes as long to import as torch itself.

torchvision, timm and transformers import it just to ask what it supports, and to mark functions that it is to leave
alone. Workers do not compile, so a stand-in answers meanwhile. Whoever needs the compiler afterwards imports it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

COMPILER = "torch._dynamo"


@contextmanager
def left_out() -> Iterator[None]:
    """Leave the compiler out of what is imported meanwhile; do nothing if it has been imported before."""
    if COMPILER in sys.modules:
        yield
        return
    stand_in, utilities = ModuleType(COMPILER), ModuleType(f"{COMPILER}.utils")
    stand_in.__dict__.update(disable=_disable, utils=utilities)
    utilities.__dict__.update(is_compile_supported=lambda device: False)
    modules = {module.__name__: module for module in (stand_in, utilities)}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in modules.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
        torch.__dict__.pop(COMPILER.rpartition(".")[2], None)


def _disable(function: Callable[..., Any] | None = None, recursive: bool = True, **_: Any) -> Any:
    """Return `function`, which is not compiled anyway, or a decorator that does."""
    return function or (lambda decorated: decorated)
