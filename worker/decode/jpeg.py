"""Decode JPEG with libjpeg-turbo directly: Pillow's pixels without Pillow's copies."""

import numpy as np
import simplejpeg
from PIL import Image, _imaging

# By Pillow's mode: its layout in memory and bytes per pixel, four for RGB.
LAID_OUT = {"RGB": ("RGBX", 4), "L": ("GRAY", 1)}


def decoded(data: bytes, image: Image.Image) -> Image.Image | None:
    """Return the pixels of the JPEG `data`, whose header Pillow has read into `image`; None if Pillow must decode it.

    Pillow must decode everything but complete RGB and grey images. No more memory is used than the header announces.
    """
    if image.mode not in LAID_OUT:
        return None
    colours, bands = LAID_OUT[image.mode]
    pixels = np.empty((image.height, image.width, bands), np.uint8)
    try:
        simplejpeg.decode_jpeg(data, colours, buffer=pixels)
    except ValueError:  # damaged, cut short, or of another size than in the header
        return None
    # As Image.frombuffer does internally, but allows only for modes of four bands or one.
    lines = (image.mode, 0, 1)  # no padding between lines, the first line on top
    return Image.new(image.mode, (0, 0))._new(_imaging.map_buffer(pixels, image.size, "raw", 0, lines))
