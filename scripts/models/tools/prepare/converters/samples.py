"""Normalise images for int8 calibration."""

from collections.abc import Iterator

import numpy as np

from worker.models.input import Input

BYTE_RANGE = 255.0


def normalised(images: np.ndarray, model_input: Input) -> Iterator[np.ndarray]:
    """Yield each of the uint8 `images` [N, H, W, C] as the network takes it, float32 [1, C, H, W]."""
    mean, std = np.array(model_input.mean, np.float32), np.array(model_input.std, np.float32)
    for image in images:
        values = (image.astype(np.float32) / BYTE_RANGE - mean) / std
        yield np.ascontiguousarray(values.transpose(2, 0, 1)[None])
