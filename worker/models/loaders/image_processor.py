"""Translate an image processor of transformers to model.toml's [input].

The translation of its settings is tested against the processor itself, so that a family with a preprocessing of its own
is refused instead of approximated.
"""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from worker.contract.toml_reader import ModelError
from worker.decode import INTERPOLATIONS, DecodedImage, Geometry
from worker.models.loaders.channels import GREY, RGB, normalisation

CONVNEXT_STRETCHES_FROM = 384  # pixels; smaller inputs are scaled and cropped
LEVIT_SCALE = 256 / 224
MODES = {GREY: "L", RGB: "RGB"}
# Test images, as (width, height), with odd margins and unusual shapes; MAX_DIFFERENCE is the largest difference in
# grey levels that rounding explains.
TEST_SIZES = ((333, 251), (250, 91), (97, 402))
MAX_DIFFERENCE = 2.01
MAX_DIFFERING_SHARE = 0.01  # share of the values that may differ by more than one level

PerChannel = tuple[float, ...]
Size = tuple[int, int]  # (height, width)


def preprocessing(processor: Any, path: Path, channels: int = RGB) -> tuple[Geometry, PerChannel, PerChannel]:
    """Return the geometry, mean and std of an image processor. Raise ModelError if [input] cannot express them."""
    if not processor.do_resize:
        raise ModelError(
            f"{path}: its processor does not resize, so the network's input size is unknown; set do_resize"
        )
    interpolation = Image.Resampling(int(processor.resample)).name.lower()
    if interpolation not in INTERPOLATIONS:
        raise ModelError(f"{path}: interpolation {interpolation!r} is none of {', '.join(INTERPOLATIONS)}")
    mean, std = _normalisation(processor)
    geometry = _geometry(processor, interpolation, path)
    translated = geometry, normalisation(mean, channels), normalisation(std, channels)
    _verify(processor, *translated, path)
    return translated


def _normalisation(processor: Any) -> tuple[list[float], list[float]]:
    """Return the mean and std on a scale of 0 to 1.

    EfficientNet's processor may subtract 1 after scaling (rescale_offset), and divides by std once more for networks
    with a classifier (include_top).
    """
    scale = processor.rescale_factor * 255 if processor.do_rescale else 255.0
    offset = float(processor.do_rescale and getattr(processor, "rescale_offset", False))
    mean, std = (processor.image_mean, processor.image_std) if processor.do_normalize else ([0.0], [1.0])
    if getattr(processor, "include_top", False):
        again = processor.image_std
        mean, std = list(mean) * (len(again) // len(mean)), list(std) * (len(again) // len(std))
        std = [value * other for value, other in zip(std, again, strict=True)]
    return [(value + offset) / scale for value in mean], [value / scale for value in std]


def flips(processor: Any) -> bool:
    """Return whether the network takes the channels in the order blue, green, red."""
    return bool(getattr(processor, "do_flip_channel_order", False))


def _geometry(processor: Any, interpolation: str, path: Path) -> Geometry:
    target, crop = _resize_target(processor, path), _crop_size(processor)
    if crop is None or target == crop:
        if isinstance(target, int):
            raise _no_fixed_size(processor, path)
        return Geometry(target, None, interpolation)
    smallest = (target, target) if isinstance(target, int) else target
    if smallest[0] < crop[0] or smallest[1] < crop[1]:
        raise ModelError(
            f"{path}: its processor crops {crop} from images of {target}, which it pads; needed a smaller crop"
        )
    return Geometry(crop, target, interpolation, "down")


def _resize_target(processor: Any, path: Path) -> int | Size:
    """Return the size that images are scaled to: that of the shorter side, or (height, width)."""
    size = {key: value for key, value in dict(processor.size).items() if value}
    family, share = type(processor).__name__, getattr(processor, "crop_pct", None) or 1
    if size.keys() == {"shortest_edge"}:
        shorter = int(size["shortest_edge"])
        if family.startswith("ConvNext") and shorter >= CONVNEXT_STRETCHES_FROM:
            return shorter, shorter
        return int(LEVIT_SCALE * shorter) if family.startswith("Levit") else int(shorter / share)
    if size.keys() != {"height", "width"}:
        raise _no_fixed_size(processor, path)
    height, width = int(size["height"] / share), int(size["width"] / share)
    return height if share != 1 and height == width else (height, width)


def _crop_size(processor: Any) -> Size | None:
    if type(processor).__name__.startswith("ConvNext"):
        return (processor.size["shortest_edge"],) * 2
    if not getattr(processor, "do_center_crop", False):
        return None
    return processor.crop_size["height"], processor.crop_size["width"]


def _no_fixed_size(processor: Any, path: Path) -> ModelError:
    size = {key: value for key, value in dict(processor.size).items() if value}
    return ModelError(f"{path}: its processor keeps each image's aspect ratio ({size}); needed one fixed size")


def _verify(processor: Any, geometry: Geometry, mean: PerChannel, std: PerChannel, path: Path) -> None:
    """Raise ModelError if `processor` turns noise into other pixels than the worker does; test 1 or 3 channels only."""
    if len(mean) not in MODES:
        return
    for size in TEST_SIZES:
        noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], len(mean)), np.uint8)
        image = Image.fromarray(noise.squeeze(), MODES[len(mean)])
        expected = np.moveaxis(np.asarray(processor(image, return_tensors="np")["pixel_values"][0]), 0, -1)
        actual = DecodedImage((image,)).scaled(geometry)
        if expected.shape == actual.shape:
            levels = (expected[..., ::-1] if flips(processor) else expected) * np.array(std) + np.array(mean)
            difference = np.abs(levels * 255 - actual)
            if difference.max() < MAX_DIFFERENCE and (difference > MAX_DIFFERENCE / 2).mean() < MAX_DIFFERING_SHARE:
                continue
        raise ModelError(
            f"{path}: its processor, {type(processor).__name__}, prepares images in a way that [input] cannot express; "
            "needed one that scales them and then crops their centre"
        )
