"""Translate an image processor of transformers to model.toml's [input].

The translation of its settings is tested against the processor itself, so that a family with a preprocessing of its own
is refused instead of approximated.
"""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from worker.contract.fields import ModelError
from worker.decode import INTERPOLATIONS, DecodedImage, Geometry
from worker.models.loaders.channels import GREY, RGB, normal

CONVNEXT_STRETCHES_FROM = 384  # pixels; smaller inputs are scaled and cropped
LEVIT_SCALE = 256 / 224
MODES = {GREY: "L", RGB: "RGB"}
# Test images, as (width, height), with odd margins and unusual shapes; CLOSE is the largest difference in grey levels
# that rounding explains.
TRIED = ((333, 251), (250, 91), (97, 402))
CLOSE = 2.01
MANY = 0.01  # share of the values that may differ by more than one level

Normal = tuple[float, ...]
Size = tuple[int, int]  # (height, width)


def preprocessing(processor: Any, path: Path, channels: int = RGB) -> tuple[Geometry, Normal, Normal]:
    """Return the geometry, mean and std of an image processor. Raise ModelError if [input] cannot express them."""
    if not processor.do_resize:
        raise ModelError(f"{path}: its processor does not resize, so its network has no size; set do_resize")
    interpolation = Image.Resampling(int(processor.resample)).name.lower()
    if interpolation not in INTERPOLATIONS:
        raise ModelError(f"{path}: interpolation {interpolation!r} is none of {', '.join(INTERPOLATIONS)}")
    if getattr(processor, "rescale_offset", False) or getattr(processor, "include_top", False):
        raise ModelError(f"{path}: its processor scales twice (rescale_offset, include_top), which [input] cannot say")
    scale = processor.rescale_factor * 255 if processor.do_rescale else 255.0
    if processor.do_normalize:
        mean, std = ([value / scale for value in values] for values in (processor.image_mean, processor.image_std))
    else:
        mean, std = [0.0], [1 / scale]
    geometry = _geometry(processor, interpolation, path)
    prepared = geometry, normal(mean, channels), normal(std, channels)
    _try(processor, *prepared, path)
    return prepared


def flips(processor: Any) -> bool:
    """Return whether the network takes the channels in the order blue, green, red."""
    return bool(getattr(processor, "do_flip_channel_order", False))


def _geometry(processor: Any, interpolation: str, path: Path) -> Geometry:
    scaled, cut = _scaled_to(processor, path), _cut(processor)
    if cut is None or scaled == cut:
        if isinstance(scaled, int):
            raise _keeps_shape(processor, path)
        return Geometry(scaled, None, interpolation)
    lowest = (scaled, scaled) if isinstance(scaled, int) else scaled
    if lowest[0] < cut[0] or lowest[1] < cut[1]:
        raise ModelError(
            f"{path}: its processor cuts {cut} from images of {scaled}, and pads them; needed a smaller cut"
        )
    return Geometry(cut, scaled, interpolation, "down")


def _scaled_to(processor: Any, path: Path) -> int | Size:
    """Return the size that images are scaled to: that of the shorter side, or (height, width)."""
    size = {key: value for key, value in dict(processor.size).items() if value}
    family, share = type(processor).__name__, getattr(processor, "crop_pct", None) or 1
    if size.keys() == {"shortest_edge"}:
        shorter = int(size["shortest_edge"])
        if family.startswith("ConvNext") and shorter >= CONVNEXT_STRETCHES_FROM:
            return shorter, shorter
        return int(LEVIT_SCALE * shorter) if family.startswith("Levit") else int(shorter / share)
    if size.keys() != {"height", "width"}:
        raise _keeps_shape(processor, path)
    height, width = int(size["height"] / share), int(size["width"] / share)
    return height if share != 1 and height == width else (height, width)


def _cut(processor: Any) -> Size | None:
    if type(processor).__name__.startswith("ConvNext"):
        return (processor.size["shortest_edge"],) * 2
    if not getattr(processor, "do_center_crop", False):
        return None
    return processor.crop_size["height"], processor.crop_size["width"]


def _keeps_shape(processor: Any, path: Path) -> ModelError:
    size = {key: value for key, value in dict(processor.size).items() if value}
    return ModelError(f"{path}: its processor keeps each image's shape ({size}); needed one fixed size")


def _try(processor: Any, geometry: Geometry, mean: Normal, std: Normal, path: Path) -> None:
    """Raise ModelError if `processor` turns noise into other pixels than the worker does; test 1 or 3 channels only."""
    if len(mean) not in MODES:
        return
    for size in TRIED:
        noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], len(mean)), np.uint8)
        image = Image.fromarray(noise.squeeze(), MODES[len(mean)])
        theirs = np.moveaxis(np.asarray(processor(image, return_tensors="np")["pixel_values"][0]), 0, -1)
        ours = DecodedImage((image,)).scaled(geometry)
        if theirs.shape == ours.shape:
            levels = (theirs[..., ::-1] if flips(processor) else theirs) * np.array(std) + np.array(mean)
            apart = np.abs(levels * 255 - ours)
            if apart.max() < CLOSE and (apart > CLOSE / 2).mean() < MANY:
                continue
        raise ModelError(
            f"{path}: its processor, {type(processor).__name__}, prepares images in a way that [input] cannot say; "
            "needed one that scales them and then cuts their centre"
        )
