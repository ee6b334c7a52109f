"""The private parts of torch and numpy that the loaders use, so that a new version breaks only this file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

# The functions that numpy's pickled scalars and arrays call.
NUMPY_SCALAR: Callable[..., Any] = np._core.multiarray.scalar  # type: ignore[attr-defined]
NUMPY_RECONSTRUCT: Callable[..., Any] = np._core.multiarray._reconstruct  # type: ignore[attr-defined]


def weights_only_globals() -> set[str]:
    """Return the dotted names of the functions and classes that torch.load calls with weights_only=True."""
    return {*torch._weights_only_unpickler._get_allowed_globals()}


def open_pt2(path: Path) -> Any:
    """Return torch.export's reader of the archive `path`; it loads nothing yet. A damaged file may raise anything."""
    from torch.export.pt2_archive._package import PT2ArchiveReader

    return PT2ArchiveReader(str(path))
