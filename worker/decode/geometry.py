"""Compute which part of an image a network sees, and at what size: arithmetic only."""

import math
from dataclasses import dataclass, replace

from PIL import Image

INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}
# These filters' weights jump instead of fading out: a rounding error in a position can move a whole pixel's weight.
DISCONTINUOUS_FILTERS = ("nearest", "box")
ROUNDINGS = ("even", "down")
# How much of a side may be computed to make positions exact, as a multiple of the part that is kept: ROOM where
# exactness is optional, MOST where it is needed. No network was trained on images 16 times as long as wide, but they
# take memory.
ROOM, MOST = 1.15, 16

Size = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """How to bring an image to the network's input size.

    `size` is (height, width) in pixels. If `resize` is an int, the shorter side is scaled to it; if it is a (height,
    width), the whole image is scaled to it. Then `size` is cropped from the centre, as torchvision's Resize and
    CenterCrop do. Without `resize`, the whole image is stretched to `size`. `rounding` is how half a pixel of margin
    is rounded: to `even` in torchvision and timm, `down` in transformers.
    """

    size: Size
    resize: int | Size | None
    interpolation: str
    rounding: str = "even"

    def scaled(self, width: int, height: int) -> Size:
        """Return the (width, height) that a whole `width` x `height` image is scaled to before it is cropped."""
        if self.resize is None:
            return self.size[1], self.size[0]
        if isinstance(self.resize, tuple):
            return self.resize[1], self.resize[0]
        short = min(width, height)
        return int(self.resize * width / short), int(self.resize * height / short)  # torchvision rounds down, too

    def cut(self, width: int, height: int) -> "Cut":
        """Return how to compute the network's pixels from a `width` x `height` image."""
        scaled = self.scaled(width, height)
        columns, rows = self._span(width, scaled[0], self.size[1]), self._span(height, scaled[1], self.size[0])
        order = rows_first((width, height), scaled)
        first, second = (rows, columns) if order else (columns, rows)
        # A rounding difference in the first pass changes the second by at most the sum of the weights' absolute values:
        # 1 if no weight is negative.
        if not (first.exact or (self.interpolation == "bilinear" and second.exact)):
            first = first.whole()
        return Cut(second, first, order) if order else Cut(first, second, order)

    def _margin(self, twice: int) -> int:
        return twice // 2 if self.rounding == "down" else round(twice / 2)

    def _span(self, full: int, scaled: int, kept: int) -> "Span":
        start = self._margin(scaled - kept)
        span = Span(full, scaled, start, start + kept, 0, kept)
        if self.interpolation in DISCONTINUOUS_FILTERS:
            return span.whole()
        widened = span.widened()
        return widened if widened.computed <= ROOM * kept else span


@dataclass(frozen=True)
class Span:
    """One side: `full` pixels scaled to `scaled`, of which those from `first` to `last` are computed.

    Of these, the first `skipped` are dropped and the next `kept` are kept. Pillow rounds the ends of the range that it
    scales to 24 bits. If they are exact, the pixels equal those of the whole side scaled and then cropped; else they
    are within one grey level.
    """

    full: int
    scaled: int
    first: int
    last: int
    skipped: int
    kept: int

    @property
    def computed(self) -> int:
        return self.last - self.first

    @property
    def exact(self) -> bool:
        return self == self.widened()

    def widened(self) -> "Span":
        """Return the span extended until its ends are exact: whole pixels of the image, halves, quarters..."""
        step = _odd_part(self.scaled // math.gcd(self.full, self.scaled))
        first, last = self.first // step * step, min(self.scaled, -(-self.last // step) * step)
        return replace(self, first=first, last=last, skipped=self.skipped + self.first - first)

    def whole(self) -> "Span":
        """Return the span extended to the whole side, unless that is far more than is kept."""
        if self.scaled > MOST * self.kept:
            return self
        return replace(self, first=0, last=self.scaled, skipped=self.skipped + self.first)

    @property
    def ends(self) -> tuple[float, float]:
        """Return where the computed pixels begin and end, in pixels of the image."""
        return self.first * self.full / self.scaled, min(self.last * self.full / self.scaled, self.full)

    def mirrored(self) -> "Span":
        rest = self.computed - self.skipped - self.kept
        return replace(self, first=self.scaled - self.last, last=self.scaled - self.first, skipped=rest)


@dataclass(frozen=True)
class Cut:
    """The spans of an image's columns and rows, and which are scaled first: values are rounded between the passes."""

    columns: Span
    rows: Span
    rows_first: bool

    @property
    def computed(self) -> Size:
        """Return the (width, height) of the computed part in pixels."""
        return self.columns.computed, self.rows.computed

    @property
    def box(self) -> tuple[float, float, float, float]:
        (left, right), (top, bottom) = self.columns.ends, self.rows.ends
        return left, top, right, bottom


def rows_first(size: Size, to: Size) -> bool:
    """Return whether Pillow scales the rows of an image from `size` to `to` (width, height) before its columns.

    Since 13.0 it does if that removes more than twice as many rows as columns. The rule was found by experiment; the
    parity tests would reveal a change.
    """
    fewer_columns, fewer_rows = size[0] - to[0], size[1] - to[1]
    return fewer_rows > 0 and fewer_rows > 2 * fewer_columns


def _odd_part(number: int) -> int:
    return number // (number & -number)
