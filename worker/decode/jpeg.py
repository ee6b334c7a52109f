"""JPEG by libjpeg-turbo itself: Pillow's pixels, without its copies of them."""

import numpy as np
import simplejpeg
from PIL import Image, _imaging

# By Pillow's mode: what it keeps in memory, four bytes a pixel for RGB.
LAID_OUT = {"RGB": ("RGBX", 4), "L": ("GRAY", 1)}


def decoded(data: bytes, image: Image.Image) -> Image.Image | None:
    """The pixels of the JPEG `data`, whose header Pillow has read into `image`; None for what is Pillow's to judge.

    That is whatever is not plain, whole, RGB or grey. Never more memory is taken than the header said.
    """
    if image.mode not in LAID_OUT:
        return None
    colours, bands = LAID_OUT[image.mode]
    pixels = np.empty((image.height, image.width, bands), np.uint8)
    try:
        simplejpeg.decode_jpeg(data, colours, buffer=pixels)
    except ValueError:  # damaged, cut short, or of another size than the header said
        return None
    # What Image.frombuffer does, which itself offers it for modes of four bands and of one alone.
    lines = (image.mode, 0, 1)  # with no bytes between them, the first one first
    return Image.new(image.mode, (0, 0))._new(_imaging.map_buffer(pixels, image.size, "raw", 0, lines))
