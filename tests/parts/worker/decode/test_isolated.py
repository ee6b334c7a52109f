"""Decoding in another process: what it returns is what this process would, and it is bounded."""

import io
import resource
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import imagecodecs
import msgspec
import numpy as np
import pytest
import tifffile

from tests import images
from tests.errors import code_of, error_of
from tests.hostile import tiff
from worker.contract.errors import ErrorCode
from worker.decode import COLOUR, Bounds, Geometry, Pixels, Pool, decode, open_image
from worker.decode.budget import MEGABYTE, no_deadline
from worker.decode.isolated import process, readers
from worker.decode.isolated.file import IsolatedFile
from worker.decode.isolated.messages import Request

SIZE = (90, 60)
SMALL = Geometry((24, 24), None, "bilinear")
PHOTO = images.photo(SIZE)
DEEP = np.asarray(PHOTO).astype(np.uint16) << 4


def zstd(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, compression="zstd", photometric="rgb")
    return stream.getvalue()


def old_jpeg() -> bytes:
    """Return a TIFF of the old JPEG compression (TIFF 6.0, section 22): the tags say where a whole JPEG lies."""
    jpeg = images.encoded(PHOTO, "JPEG", subsampling=0)
    place = {tiff.STRIP_OFFSETS: [tiff.DATA], tiff.STRIP_BYTES: [len(jpeg)], 513: [tiff.DATA], 514: [len(jpeg)]}
    return tiff.tiff(tiff.image(*SIZE, samples=3, compression=[6], photometric=[6]) | place, jpeg)


FILES: dict[str, Callable[[], bytes]] = {
    readers.HEIC: lambda: images.turned(PHOTO, 6, "HEIC"),
    readers.AVIF: lambda: images.encoded(PHOTO.convert("RGBA"), "AVIF"),
    readers.DEEP_JPEG: lambda: bytes(imagecodecs.jpeg_encode(DEEP, bitspersample=12)),
    readers.WHOLE_TIFF: lambda: zstd(np.asarray(PHOTO)),
    readers.OLD_JPEG: old_jpeg,
}


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool(1, 60)


@pytest.fixture(scope="module")
def bounds(pool: Pool) -> Bounds:
    return Bounds(processes=pool)


def test_every_reader_is_tried_here() -> None:
    assert set(FILES) == set(readers.READERS)


@pytest.mark.parametrize("reader", FILES)
@pytest.mark.parametrize("pixels", [COLOUR, Pixels(1), Pixels(2)], ids=["RGB", "grey", "two bands"])
def test_the_pixels_are_those_of_this_process(reader: str, pixels: Pixels, bounds: Bounds) -> None:
    data = FILES[reader]()
    assert np.array_equal(decode(data, SMALL, bounds, pixels), decode(data, SMALL, Bounds(), pixels))
    opened = open_image(data, bounds, pixels)
    assert isinstance(opened._file, IsolatedFile)
    assert opened.size == open_image(data, Bounds(), pixels).size


@pytest.mark.parametrize("reader", FILES)
@pytest.mark.parametrize("change", [{"max_pixels": 99}, {}], ids=["too many pixels", "cut short"])
def test_what_is_refused_is_refused_as_in_this_process(reader: str, change: dict[str, Any], bounds: Bounds) -> None:
    data = FILES[reader]() if change else FILES[reader]()[:-300]
    here, there = (error_of(decode, data, SMALL, replace(one, **change)) for one in (Bounds(), bounds))
    assert (there.code, there.code.status) == (here.code, 422)


def test_more_memory_than_is_allowed_is_an_image_that_costs_too_much(pool: Pool) -> None:
    request = Request(readers.WHOLE_TIFF, COLOUR, 10**8, 20 * MEGABYTE, 4)
    data = zstd(np.zeros((3000, 4000, 3), np.uint8))
    assert code_of(pool.read, request, data, no_deadline) is ErrorCode.IMAGE_TOO_COSTLY
    enough = msgspec.structs.replace(request, memory=300 * MEGABYTE)
    assert np.asarray(pool.read(enough, data, no_deadline)).shape == (750, 1000, 3)


def test_a_process_has_limits_while_it_reads_an_image() -> None:
    both = (resource.RLIMIT_AS, resource.RLIMIT_CPU)
    before = [resource.getrlimit(limit) for limit in both]
    with process.limits(1 << 40, 1000):
        memory, seconds = (resource.getrlimit(limit)[0] for limit in both)
        assert (memory, 1000 < seconds < 5000) == (1 << 40, True)
    assert [resource.getrlimit(limit) for limit in both] == before
