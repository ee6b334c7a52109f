"""`[input]` of model.toml: what the network takes."""

from dataclasses import dataclass

from worker.decode import INTERPOLATIONS, Geometry
from worker.models.fields import Fields


@dataclass(frozen=True)
class Input:
    """What the network takes: the geometry, and mean and std of RGB values scaled to 0..1."""

    geometry: Geometry
    mean: tuple[float, ...]
    std: tuple[float, ...]


def read_input(fields: Fields) -> Input:
    """The table as an Input; what is wrong with it becomes a fault of `fields`."""
    size = fields.numbers("size", int, 2)
    resize = fields.number("resize", int, 0) or None
    interpolation = fields.choice("interpolation", tuple(INTERPOLATIONS))
    if min(size) < 1:
        fields.fault("size", f"must be [height, width] of at least 1 pixel, found {list(size)}")
    if resize is not None and resize < max(size):
        fields.fault("resize", f"must be at least the larger side of size {list(size)}, found {resize}")
    std = fields.numbers("std", float, 3)
    if min(std) <= 0:
        fields.fault("std", f"must be above 0, found {list(std)}")
    return Input(Geometry((size[0], size[1]), resize, interpolation), fields.numbers("mean", float, 3), std)
