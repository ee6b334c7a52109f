"""Provide the images that a model is prepared on: some to calibrate int8, others to compare answers."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.models.tools.answers import decoder
from scripts.models.tools.images import SIZE, jpeg, photo, tiff
from scripts.models.tools.prepare.effort import THOROUGH
from worker.contract.errors import ServiceError
from worker.contract.litter import own_files
from worker.contract.toml_reader import ModelError
from worker.models.folder import ModelFolder

MIN_IMAGES = 50  # the fewest of the user's images: with fewer, a single answer would decide
GREY, RGB = 1, 3  # channels
FULL_SIZE = 340  # pixels: the longer side of the input for which generated images have their default size


@dataclass(frozen=True)
class CalibrationImages:
    """Two disjoint sets of images as the network sees them, each uint8 [N, H, W, C].

    The golden images are part of the calibration set: int8 ranges that clip them would be wrong.
    """

    calibration: np.ndarray
    check: np.ndarray


def generate(folder: ModelFolder, count: int = THOROUGH.images) -> CalibrationImages:
    """Return `count` generated images with the statistics of photographs, scaled to suit the network's input."""
    return _split(folder, _decoded(folder, files(folder, None, count)))


def load(folder: ModelFolder, source: Path, max_images: int = THOROUGH.images) -> CalibrationImages:
    """Return up to `max_images` images, evenly chosen from `source` and its subfolders.

    Raise ModelError if too few of them can be decoded.
    """
    images = list(_decoded(folder, files(folder, source, max_images)))
    if len(images) < MIN_IMAGES:
        raise ModelError(
            f"{source}: found {len(images)} images that can be decoded, needed {MIN_IMAGES} or more, "
            f"preferably {THOROUGH.images}"
        )
    return _split(folder, images)


def files(folder: ModelFolder, source: Path | None, count: int) -> Iterator[bytes]:
    """Yield up to `count` image files: evenly chosen from `source` and its subfolders, or generated if it is None."""
    if source is None:
        scale = min(1.0, max(folder.input.geometry.scaled(1, 1)) / FULL_SIZE)
        size = (round(SIZE[0] * scale), round(SIZE[1] * scale))
        yield from (_file(seed, size, len(folder.input.mean)) for seed in range(count))
        return
    found = own_files(source)
    count = min(len(found), count)
    yield from (found[number * len(found) // count].read_bytes() for number in range(count))


def _file(seed: int, size: tuple[int, int], channels: int) -> bytes:
    """Return a generated image as a file: a JPEG, or for other channel counts a TIFF with bands from several photos."""
    if channels in (GREY, RGB):
        return jpeg(seed, size)
    photos = [np.asarray(photo(seed + THOROUGH.images * number, size)) for number in range(-(-channels // RGB))]
    return tiff(np.concatenate(photos, axis=-1)[..., :channels])


def _decoded(folder: ModelFolder, contents: Iterable[bytes]) -> Iterator[np.ndarray]:
    """Yield each of the files' `contents` that can be decoded as the network sees it, uint8 [H, W, C]."""
    decode = decoder(folder)
    for data in contents:
        with suppress(ServiceError):
            yield decode(data)


def _split(folder: ModelFolder, decoded: Iterable[np.ndarray]) -> CalibrationImages:
    """Split the images: two of every five compare, so that both sets contain images of every subfolder."""
    images, golden = np.stack(list(decoded)), _decoded(folder, (golden.image.read_bytes() for golden in folder.golden))
    checks = np.isin(np.arange(len(images)) % 5, (1, 3))
    return CalibrationImages(np.stack([*images[~checks], *golden]), images[checks])
