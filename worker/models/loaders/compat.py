"""All that the loaders use of torch's and numpy's private parts, so that a new version has one file to mend."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

# What numpy pickles its scalars and arrays by.
NUMPY_SCALAR: Callable[..., Any] = np._core.multiarray.scalar  # type: ignore[attr-defined]
NUMPY_RECONSTRUCT: Callable[..., Any] = np._core.multiarray._reconstruct  # type: ignore[attr-defined]


def weights_only_globals() -> set[str]:
    """Return the dotted names of the functions and classes that torch.load calls with weights_only=True."""
    return {*torch._weights_only_unpickler._get_allowed_globals()}


def open_pt2(path: Path) -> Any:
    """Return torch.export's own reader of the archive, which loads nothing; raise whatever a damaged file provokes."""
    from torch.export.pt2_archive._package import PT2ArchiveReader

    return PT2ArchiveReader(str(path))
