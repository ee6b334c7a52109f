"""Measure what shrinking an image while it is decoded changes in the answers, on small and on large images.

What it loses is most where just MARGIN times the network's size is left, so the large images are as large as that.
"""

import io
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.models.tools.answers import head
from scripts.models.tools.images import tiff
from scripts.models.tools.prepare.benchmark import Candidate, ModelUnderTest, open_candidate
from scripts.models.tools.prepare.select import agreement
from worker.contract.decoding import SIZES, DecodingMeasurement
from worker.contract.errors import ServiceError
from worker.contract.limits import LIMITS
from worker.decode import Bounds, DecodedImage, Geometry, decode, open_image
from worker.decode.encoded_image import MARGIN
from worker.models.folder import ModelFolder
from worker.models.golden import TOLERANCE
from worker.models.input import Input

IMAGES = 50  # one of which may get another answer
SHRINK = 2  # of the large images; by 4 the answers differ as much, and decoding takes three times as long
QUALITY, MAX_SIDE = 95, 65_500  # of the large images' JPEG: phones write 92 to 97; libjpeg's longest side in pixels
MIN_IMAGES = 20  # the fewest to compare answers on, however long that takes

Pair = tuple[np.ndarray, np.ndarray]  # an image as the network sees it, scaled and exact: uint8 [H, W, C]


def save_pairs(model_input: Input, files: Iterable[bytes], path: Path) -> None:
    """Save `files`, as the network sees them, to the .npy file `path`: uint8 [N, 2 of SIZES, 2 of DECODES, H, W, C]."""
    np.save(path, np.array(list(_pairs(model_input, files))))


def _pairs(model_input: Input, files: Iterable[bytes]) -> Iterator[tuple[Pair, Pair]]:
    """Yield each image that can be decoded as it is and enlarged."""
    geometry, pixels = model_input.geometry, model_input.pixels
    for data in files:
        with suppress(ServiceError):
            small = _both(data, model_input)
            large = enlarged(open_image(data, Bounds(), pixels).upright(), geometry)
            if large:
                yield small, _both(large, replace(model_input, pixels=replace(pixels, range=None)))  # of 8 bits now


def _both(data: bytes, model_input: Input) -> Pair:
    scaled, exact = (
        decode(data, model_input.geometry, pixels=model_input.pixels, exact=exact) for exact in (False, True)
    )
    return scaled, exact


def enlarged(image: DecodedImage, geometry: Geometry) -> bytes:
    """Return the image as a file, as large as decoding shrinks by SHRINK; b"" if that is too large to be served.

    It is a JPEG, as phones write it, or a TIFF if it has bands.
    """
    width, height = image.size
    scaled_width, scaled_height = geometry.scaled(width, height)
    factor = max(1.0, MARGIN * SHRINK * max(scaled_width / width, scaled_height / height))
    size = ceil(width * factor), ceil(height * factor)
    if max(size) > MAX_SIDE or size[0] * size[1] > LIMITS["max_pixels"].default:
        return b""
    bands = [band.resize(size, Image.Resampling.BICUBIC) for band in image.bands]
    if len(bands) > 1:
        return tiff(np.stack([np.asarray(band) for band in bands], axis=-1))
    stream = io.BytesIO()
    bands[0].save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def compare_decoding(
    model: ModelUnderTest, candidate: Candidate, pairs: Path, threads: int
) -> list[DecodingMeasurement]:
    """Return how the answers of `candidate` to scaled images differ from those to exact ones, small and large.

    `pairs` is what `save_pairs` saved. Raise ModelError if the candidate cannot run the network.
    """
    folder, engine = open_candidate(model, candidate, (1,), threads)
    to_logits = head(folder)
    images, limit_s = np.load(pairs), model.effort.check_s
    return [
        _compare(folder, size, images[:, number], lambda image: to_logits(engine.infer(image[None]))[0], limit_s)
        for number, size in enumerate(SIZES)
        if len(images)
    ]


def _compare(
    folder: ModelFolder, size: str, pairs: np.ndarray, logits_of: Callable[[np.ndarray], np.ndarray], limit_s: float
) -> DecodingMeasurement:
    """Compare the answers to `pairs`, for `limit_s` seconds at most.

    Classes whose scores are as close as those of two engines may be count as the same answer: generated images show no
    object that a classifier knows, and many classes are about as likely.
    """
    started, rows = time.monotonic(), []
    for scaled, exact in pairs:
        reference = logits_of(exact)
        rows.append((reference if np.array_equal(scaled, exact) else logits_of(scaled), reference))
        if len(rows) >= MIN_IMAGES and time.monotonic() - started > limit_s:
            break
    found, expected = (folder.output.scores(logits) for logits in np.stack(rows, axis=1))
    same = agreement(expected, found, folder.output.main, TOLERANCE)
    return DecodingMeasurement(size, len(rows), same, float(np.abs(found - expected).max()))
