"""Scale a part of an image to another size in as few passes over its pixels as possible."""

import math
from functools import lru_cache

from PIL import Image

from worker.decode.geometry import DISCONTINUOUS_FILTERS, INTERPOLATIONS, Cut, Geometry, Size, Span, rows_first
from worker.decode.orientation import Orientation

REACH = {"nearest": 1, "bilinear": 1, "bicubic": 2, "lanczos": 3, "box": 1}  # of the weights, in pixels at scale 1


def scaled(image: Image.Image, geometry: Geometry, orientation: Orientation) -> Image.Image:
    """Return the network's pixels of the stored `image`, upright: its centre, scaled and cropped in one step by Pillow.

    They are within one grey level of the whole image turned, scaled and cropped, one after the other.
    """
    if geometry.interpolation in DISCONTINUOUS_FILTERS:
        upright = orientation.upright(image)
        return _cut(upright, geometry.cut(*upright.size), geometry.interpolation)
    # Turn last, when the fewest pixels are left.
    return orientation.upright(_cut(image, stored_cut(image.size, geometry, orientation), geometry.interpolation))


@lru_cache(maxsize=256)  # most images have one of few sizes
def stored_cut(size: Size, geometry: Geometry, orientation: Orientation) -> Cut:
    """Return how to compute the network's pixels from an image stored in `size` (width, height)."""
    return orientation.stored(geometry.cut(*orientation.size(*size)))


def _cut(image: Image.Image, cut: Cut, interpolation: str) -> Image.Image:
    wide = _passes(image, cut, interpolation)
    left, top = cut.columns.skipped, cut.rows.skipped
    right, bottom = left + cut.columns.kept, top + cut.rows.kept
    return wide if wide.size == (right, bottom) and not left and not top else wide.crop((left, top, right, bottom))


def _passes(image: Image.Image, cut: Cut, interpolation: str) -> Image.Image:
    """Return the computed pixels, scaled in the order of `cut`: in one call if Pillow itself chooses that order."""
    way, columns, rows = INTERPOLATIONS[interpolation], cut.columns, cut.rows
    (left, right), (top, bottom) = columns.ends, rows.ends
    width, height = columns.computed, rows.computed
    if cut.rows_first == rows_first(image.size, (width, height)):
        return image.resize((width, height), way, (left, top, right, bottom))
    if cut.rows_first:
        first, last = _needed(columns, interpolation)
        needed = image.crop((first, 0, last, image.height))
        flat = needed.resize((needed.width, height), way, (0, top, needed.width, bottom))
        return flat.resize((width, height), way, (left - first, 0, right - first, height))
    first, last = _needed(rows, interpolation)
    needed = image.crop((0, first, image.width, last))
    narrow = needed.resize((width, needed.height), way, (left, 0, right, needed.height))
    return narrow.resize((width, height), way, (0, top - first, width, bottom - first))


def _needed(span: Span, interpolation: str) -> tuple[int, int]:
    """Return the range of image pixels, first and last + 1, that the computed pixels of `span` depend on."""
    start, end = span.ends
    reach = math.ceil(REACH[interpolation] * max(1, (end - start) / span.computed)) + 1
    return max(0, math.floor(start) - reach), min(span.full, math.ceil(end) + reach)
