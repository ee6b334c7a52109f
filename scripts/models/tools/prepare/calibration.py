"""The images that a model is prepared on: some to take the ranges of int8 from, others to compare answers on."""

import io
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from scripts.models.tools.answers import decoder
from scripts.models.tools.images import SIZE, jpeg, photo
from scripts.models.tools.prepare.effort import WHOLE
from worker.contract.errors import ServiceError
from worker.contract.fields import ModelError
from worker.models.folder import ModelFolder

LEAST = 50  # own images: with fewer, one answer more or less decides
GREY, RGB = 1, 3  # channels
FULL_SIZE = 340  # pixels: the network input that an image of the usual size is made for


@dataclass(frozen=True)
class CalibrationImages:
    """What the network sees of images, uint8 [N, H, W, C]: none is in both sets.

    The golden images calibrate, too: ranges of int8 that cut off what the folder itself vouches for would be wrong.
    """

    calibration: np.ndarray
    check: np.ndarray


def generated(folder: ModelFolder, count: int = WHOLE.images) -> CalibrationImages:
    """Return `count` images with a photograph's statistics, in proportion to the network's input."""
    geometry = folder.input.geometry
    scale = min(1.0, max(geometry.scaled(1, 1)) / FULL_SIZE)
    size = (round(SIZE[0] * scale), round(SIZE[1] * scale))
    return _split(folder, _seen(folder, (_file(seed, size, len(folder.input.mean)) for seed in range(count))))


def own(folder: ModelFolder, place: Path, most: int = WHOLE.images) -> CalibrationImages:
    """Return the images in `place` and below, `most` of them evenly taken. Raise ModelError when there are too few."""
    files = sorted(path for path in place.rglob("*") if path.is_file())
    count = min(len(files), most)
    some = (files[turn * len(files) // count] for turn in range(count))
    found = list(_seen(folder, (file.read_bytes() for file in some)))
    if len(found) < LEAST:
        raise ModelError(
            f"{place}: found {len(found)} images that can be decoded, needed {LEAST} or more, best {WHOLE.images}"
        )
    return _split(folder, found)


def _file(seed: int, size: tuple[int, int], channels: int) -> bytes:
    """An image as a file: JPEG, or for a network of bands a TIFF with that many, taken from several photos."""
    if channels in (GREY, RGB):
        return jpeg(seed, size)
    photos = [np.asarray(photo(seed + WHOLE.images * turn, size)) for turn in range(-(-channels // RGB))]
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.concatenate(photos, axis=-1)[..., :channels], planarconfig="contig")
    return stream.getvalue()


def _seen(folder: ModelFolder, files: Iterable[bytes]) -> Iterator[np.ndarray]:
    """What the network sees of those files that are images."""
    decode = decoder(folder)
    for data in files:
        with suppress(ServiceError):
            yield decode(data)


def _split(folder: ModelFolder, seen: Iterable[np.ndarray]) -> CalibrationImages:
    """Two of every five are for the comparison, so that both sets have something of every folder of images."""
    images, golden = np.stack(list(seen)), _seen(folder, (golden.image.read_bytes() for golden in folder.golden))
    checks = np.isin(np.arange(len(images)) % 5, (1, 3))
    return CalibrationImages(np.stack([*images[~checks], *golden]), images[checks])
