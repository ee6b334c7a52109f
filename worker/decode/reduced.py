"""Scale the pixels of an image that was shrunk while it was decoded, by libvips: in less than half of Pillow's time.

libvips places its filters at 64ths of a pixel, so that a pixel may be some grey levels from Pillow's, 0.2 on average.
Shrinking differs by more already; an image that is decoded whole is scaled exactly, in `scale.py`.
"""

import numpy as np
from PIL import Image

from worker.decode import vips
from worker.decode.geometry import Geometry
from worker.decode.orientation import Orientation
from worker.decode.pixels import RGB, Pixels
from worker.decode.scale import stored_cut

KERNELS = {"bilinear": "linear", "bicubic": "cubic", "lanczos": "lanczos3"}  # Pillow's filters by libvips' names


def reduced(values: np.ndarray, geometry: Geometry, orientation: Orientation, pixels: Pixels) -> np.ndarray:
    """Return what a network sees of the stored `values`, uint8 [H, W, bands]: uint8 [height, width, channels].

    `values` are larger than what the whole image is scaled to, on both sides.
    """
    height, width, _ = values.shape
    cut = stored_cut((width, height), geometry, orientation)
    columns, rows, kernel = cut.columns, cut.rows, KERNELS[geometry.interpolation]
    whole = vips.from_array(values).reducev(rows.full / rows.scaled, kernel=kernel)
    whole = whole.reduceh(columns.full / columns.scaled, kernel=kernel)
    left, top = columns.first + columns.skipped, rows.first + rows.skipped
    small = orientation.turned(vips.to_array(whole.crop(left, top, columns.kept, rows.kept)))
    return small if small.shape[-1] == pixels.channels else _converted(small, pixels)


def _converted(small: np.ndarray, pixels: Pixels) -> np.ndarray:
    """Return grey `small` [H, W, 1] as the RGB that `pixels` takes, or RGB as grey, as Pillow weighs the colours."""
    if pixels.channels == RGB:
        return small.repeat(RGB, axis=-1)
    return np.asarray(Image.fromarray(small).convert("L"))[..., np.newaxis]
