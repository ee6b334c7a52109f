"""Tell from the shape of a network's input where its channels are. Pure."""

from collections.abc import Sequence

NCHW, NHWC = "NCHW", "NHWC"
BATCHED = len(NCHW)  # the number of sides with a batch; a network for single images has one less
USUAL_CHANNELS = (1, 3)  # grey and RGB

Sides = Sequence[int | None]  # None: the side is dynamic


def find_layout(sides: Sides) -> str | None:
    """Return the layout of an input with the three `sides` of one image; None if they suit both.

    The channels are the side that is 1 or 3; else the one beside two equal or two dynamic sides; else the smallest.
    """
    first, middle, last = sides
    first_usual, last_usual = first in USUAL_CHANNELS, last in USUAL_CHANNELS
    if first_usual != last_usual:
        return NCHW if first_usual else NHWC
    if first == middle == last is None:
        return NCHW  # nothing is known; most exporters write this
    if first == last or (first_usual and last_usual):
        return None
    if first == middle or middle == last:
        return NHWC if first == middle else NCHW
    if first is None or last is None:
        return NHWC if first is None else NCHW
    return NCHW if first < last else NHWC


def layout_for(sides: Sides, shape: tuple[int, int, int]) -> str:
    """Return the layout in which an input with the `sides` of one image takes images of `shape` (H, W, C).

    It is NCHW if they suit both.
    """
    height, width, channels = shape
    for expected in ((channels, height, width), (channels, None, None)):
        as_nchw, as_nhwc = (
            _suits(sides, order) for order in (expected, (*expected[1:], expected[0]))
        )  # fmt: skip
        if as_nchw != as_nhwc:
            return NCHW if as_nchw else NHWC
    return NCHW


def _suits(sides: Sides, expected: Sides) -> bool:
    return all(side == other or None in (side, other) for side, other in zip(sides, expected, strict=True))
