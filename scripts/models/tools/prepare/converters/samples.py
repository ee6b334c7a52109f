"""Arrange images for int8 calibration as the network takes them."""

from collections.abc import Iterator, Sequence

import numpy as np

from worker.models.input import Input
from worker.models.loaders.tensor_layout import BATCHED, NCHW, layout_for

BYTE_RANGE = 255.0
BYTES, FLOATS = np.dtype(np.uint8), np.dtype(np.float32)
DYNAMIC = (None,) * BATCHED


def normalised(
    images: np.ndarray, model_input: Input, sides: Sequence[int | None] = DYNAMIC, dtype: np.dtype = FLOATS
) -> Iterator[np.ndarray]:
    """Yield each of the uint8 `images` [N, H, W, C] as a network takes it whose input has `sides` and `dtype`.

    By default that is float32 [1, C, H, W]. A side of None is dynamic; a network for a larger batch gets the same image
    several times; one that takes bytes normalises them itself.
    """
    mean, std = np.array(model_input.mean, np.float32), np.array(model_input.std, np.float32)
    layout = layout_for(sides[-3:], model_input.shape)
    for image in images:
        values = image if dtype == BYTES else (image.astype(np.float32) / BYTE_RANGE - mean) / std
        values = (np.rint(values) if dtype.kind == "i" else values).astype(dtype)
        one = np.ascontiguousarray(values.transpose(2, 0, 1) if layout == NCHW else values)
        yield np.stack([one] * (sides[0] or 1)) if len(sides) == BATCHED else one
