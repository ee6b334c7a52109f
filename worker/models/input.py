"""`[input]` of model.toml: the input of the network, and the part of an image that it comes from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from worker.contract.decoding import EXACT, read_decode
from worker.contract.limits import LIMITS
from worker.contract.toml_reader import TomlReader
from worker.decode import COLOUR, INTERPOLATIONS, ROUNDINGS, Bounds, Colour, EncodedImage, Geometry, Pixels, open_image
from worker.models.tiles import MERGES, Tiles, merged

RGB = 3
DROP = "drop"  # the value of `background` that leaves transparency out
MAX_LEVEL = 255
OVERRIDABLE = ("size", "resize", "interpolation", "mean", "std")  # keys that a file of the model may state, too
Infer = Callable[[np.ndarray], np.ndarray]  # uint8 [N, H, W, C] -> float32 logits [N, classes]


@dataclass(frozen=True)
class Input:
    """The input of the network: geometry, pixel format, and each channel's mean and std on a scale of 0 to 1.

    `max_pixels` lowers the worker's limit on the pixels of an image; None leaves it as it is. `exact` says to decode
    every image whole, instead of shrinking a large one while it is decoded; None leaves that to what was measured.
    `overrides` are the keys that replace what a file of the model says.
    """

    geometry: Geometry
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pixels: Pixels = COLOUR
    max_pixels: int | None = None
    tiles: Tiles | None = None
    exact: bool | None = None
    overrides: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the network's input."""
        return *self.geometry.size, self.pixels.channels

    @property
    def whole(self) -> "Input":
        """This input, but with every image decoded whole, as golden images are: their answers check the network."""
        return replace(self, exact=True)

    def open(self, data: bytes, bounds: Bounds) -> EncodedImage:
        """Read the header of the image file `data`; raise ServiceError if it is damaged or exceeds `bounds`."""
        if self.max_pixels is not None:
            bounds = replace(bounds, max_pixels=min(self.max_pixels, bounds.max_pixels))
        return open_image(data, bounds, self.pixels)

    def inputs(self, image: EncodedImage) -> list[np.ndarray]:
        """Return the network's inputs for `image`, one for each tile: uint8 [H, W, C].

        Raise ServiceError if the image cannot be decoded or makes too many tiles.
        """
        boxes = self.tiles.boxes(*image.size) if self.tiles else []
        if len(boxes) < 2:  # the image is no larger than a tile
            return [image.scaled(self.geometry, bool(self.exact))]
        upright, stretched = image.upright(), replace(self.geometry, resize=None)
        return [upright.part(box).scaled(stretched) for box in boxes]

    def merged(self, logits: Sequence[np.ndarray]) -> np.ndarray:
        """Return the logits [classes] of an image from the `logits` [classes] of each of its tiles."""
        return merged(self.tiles, logits)

    def logits(self, data: bytes, bounds: Bounds, infer: Infer) -> np.ndarray:
        """Return the logits [classes] of the image file `data`; `infer` computes those of each tile on its own.

        Raise ServiceError as `open` and `inputs` do.
        """
        return self.merged([infer(tile[np.newaxis])[0] for tile in self.inputs(self.open(data, bounds))])


def read_input(reader: TomlReader) -> Input:
    """Return the table as an Input; add its faults to `reader`."""
    pixels = _pixels(reader)
    mean = reader.numbers("mean", float, pixels.channels)
    std = reader.numbers("std", float, pixels.channels)
    if min(std) <= 0:
        reader.fault("std", f"must be above 0, found {list(std)}")
    max_pixels = reader.number("max_pixels", int) if reader.has("max_pixels") else None
    if max_pixels is not None and not LIMITS["max_pixels"].allows(max_pixels):
        reader.fault("max_pixels", f"needs {LIMITS['max_pixels'].needed}, found {max_pixels}")
    tiles = _tiles(reader.table("tiles")) if reader.has("tiles") else None
    decode = read_decode(reader)
    exact = decode == EXACT if decode else None
    return Input(_geometry(reader), mean, std, pixels, max_pixels, tiles, exact, _overrides(reader))


def _overrides(reader: TomlReader) -> tuple[str, ...]:
    overrides = reader.texts("overrides") if reader.has("overrides") else ()
    if unknown := [key for key in overrides if key not in OVERRIDABLE]:
        reader.fault("overrides", f"must be some of {', '.join(OVERRIDABLE)}, found {', '.join(unknown)}")
    return overrides


def _geometry(reader: TomlReader) -> Geometry:
    height, width = reader.numbers("size", int, 2)
    if min(height, width) < 1:
        reader.fault("size", f"must be [height, width] of at least 1 pixel, found {[height, width]}")
    interpolation = reader.choice("interpolation", tuple(INTERPOLATIONS))
    rounding = reader.choice("rounding", ROUNDINGS) if reader.has("rounding") else ROUNDINGS[0]
    return Geometry((height, width), _resize(reader, height, width), interpolation, rounding)


def _resize(reader: TomlReader, height: int, width: int) -> int | tuple[int, int] | None:
    if not reader.has("resize"):
        return None
    sides = reader.sides("resize")
    if isinstance(sides, int):
        if sides < max(height, width):
            reader.fault("resize", f"must be at least the larger side of size {[height, width]}, found {sides}")
    elif sides[0] < height or sides[1] < width:
        reader.fault("resize", f"must be at least size {[height, width]}, side for side, found {list(sides)}")
    return sides


def _pixels(reader: TomlReader) -> Pixels:
    channels = reader.number("channels", int, RGB)
    if channels < 1:
        reader.fault("channels", f"must be at least 1, found {channels}")
        channels = RGB
    defaults = Pixels(channels)
    if defaults.banded and reader.has("background"):
        reader.fault("background", f"does not apply to {channels} channels, since one may be alpha; remove it")
    return Pixels(channels, _range(reader), _background(reader) if reader.has("background") else defaults.background)


def _background(reader: TomlReader) -> Colour | None:
    if reader.word("background", DROP):
        return None
    red, green, blue = reader.numbers("background", int, RGB, DROP)
    if not all(0 <= value <= MAX_LEVEL for value in (red, green, blue)):
        reader.fault("background", f"must be red, green and blue from 0 to {MAX_LEVEL}, found {[red, green, blue]}")
    return red, green, blue


def _range(reader: TomlReader) -> tuple[float, float] | None:
    if not reader.has("range"):
        return None
    black, white = reader.numbers("range", float, 2)
    if black >= white:
        reader.fault("range", f"must be [black, white], the first below the second, found {[black, white]}")
    return black, white


def _tiles(reader: TomlReader) -> Tiles:
    size, stride = _pair(reader.sides("size")), _pair(reader.sides("stride"))
    if min(size) < 1:
        reader.fault("size", f"must be at least 1 pixel, found {list(size)}")
    if not all(1 <= step <= side for step, side in zip(stride, size, strict=True)):
        reader.fault(
            "stride",
            f"must be from 1 to size {list(size)}, or parts of the image would be skipped, found {list(stride)}",
        )
    merge = reader.choice("merge", tuple(MERGES)) if reader.has("merge") else next(iter(MERGES))
    return Tiles(size, stride, merge)


def _pair(sides: int | tuple[int, int]) -> tuple[int, int]:
    return sides if isinstance(sides, tuple) else (sides, sides)
