"""Which part of an image a network sees, and at what size. Pure arithmetic."""

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
# Their weights jump instead of fading out, so that a rounding error of a position can move a whole pixel's weight.
DISCONTINUOUS_FILTERS = ("nearest", "box")
ROUNDINGS = ("even", "down")
# How much of a side, in what is kept of it, may be computed for the sake of exact positions: where that is welcome, and
# where it is needed. An image 16 times as long as wide is none that a network was trained on, but takes memory.
ROOM, MOST = 1.15, 16

Size = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """How an image is brought to the network's size.

    `size` is (height, width) in pixels. With `resize` the shorter side is scaled to it, or the whole image to it
    where it is a (height, width), and `size` is cut from the centre, as torchvision's Resize and CenterCrop do;
    without, the whole image is stretched to `size`. Half a pixel of margin goes to the `even` side in torchvision
    and timm, and `down` in transformers.
    """

    size: Size
    resize: int | Size | None
    interpolation: str
    rounding: str = "even"

    def scaled(self, width: int, height: int) -> Size:
        """What the whole of a `width` x `height` image is scaled to before the cut, as (width, height)."""
        if self.resize is None:
            return self.size[1], self.size[0]
        if isinstance(self.resize, tuple):
            return self.resize[1], self.resize[0]
        short = min(width, height)
        return int(self.resize * width / short), int(self.resize * height / short)  # torchvision rounds down, too

    def cut(self, width: int, height: int) -> "Cut":
        """How the network's pixels are got of a `width` x `height` image."""
        scaled = self.scaled(width, height)
        columns, rows = self._span(width, scaled[0], self.size[1]), self._span(height, scaled[1], self.size[0])
        order = rows_first((width, height), scaled)
        first, second = (rows, columns) if order else (columns, rows)
        # What the first pass rounds the other way moves the second by no more than the weights' sizes add up to:
        # one, where none of them is below zero.
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
    """One side: of its `full` pixels scaled to `scaled`, those from `first` to `last` are computed, `kept` kept.

    Pillow rounds the positions between which it scales to 24 bits. Where these are exact, the pixels are those of the
    whole side scaled and then cut; else they are within one grey level.
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
        """As much more computed as makes its ends exact: whole numbers of the image's pixels, halves, quarters..."""
        step = _odd_part(self.scaled // math.gcd(self.full, self.scaled))
        first, last = self.first // step * step, min(self.scaled, -(-self.last // step) * step)
        return replace(self, first=first, last=last, skipped=self.skipped + self.first - first)

    def whole(self) -> "Span":
        """All of the side, unless that is far more than is kept."""
        if self.scaled > MOST * self.kept:
            return self
        return replace(self, first=0, last=self.scaled, skipped=self.skipped + self.first)

    @property
    def ends(self) -> tuple[float, float]:
        """Where the computed pixels begin and end, in the image's own."""
        return self.first * self.full / self.scaled, min(self.last * self.full / self.scaled, self.full)

    def mirrored(self) -> "Span":
        rest = self.computed - self.skipped - self.kept
        return replace(self, first=self.scaled - self.last, last=self.scaled - self.first, skipped=rest)


@dataclass(frozen=True)
class Cut:
    """The spans of an image's columns and rows, and which are scaled first: between the two, values are rounded."""

    columns: Span
    rows: Span
    rows_first: bool

    @property
    def computed(self) -> Size:
        """(width, height) in pixels."""
        return self.columns.computed, self.rows.computed

    @property
    def box(self) -> tuple[float, float, float, float]:
        (left, right), (top, bottom) = self.columns.ends, self.rows.ends
        return left, top, right, bottom


def rows_first(size: Size, to: Size) -> bool:
    """Whether Pillow scales the rows of an image of `size` (width, height) before its columns.

    It does, since 13.0, where that takes away more than twice as many rows as columns; found by trying, and the
    tests of parity would show another rule.
    """
    fewer_columns, fewer_rows = size[0] - to[0], size[1] - to[1]
    return fewer_rows > 0 and fewer_rows > 2 * fewer_columns


def _odd_part(number: int) -> int:
    return number // (number & -number)
