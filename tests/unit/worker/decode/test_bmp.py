"""BMPs of every kind that their writers choose, and of none."""

import struct

import numpy as np
import pytest
from PIL import Image

from tests import images
from tests.errors import error_of
from tests.hostile.other import bmp
from worker.contract.errors import ErrorCode
from worker.decode import Bounds, Geometry, Pixels, decode

SIZE = WIDTH, HEIGHT = 21, 10
AS_IT_IS = Geometry((HEIGHT, WIDTH), None, "bilinear")
MASKED, ALPHA_MASKED = 3, 6


def masked(masks: tuple[int, ...], bits: int, top_down: bool = False) -> tuple[bytes, np.ndarray]:
    """Return a BMP of random colours under `masks`, and its colours [H, W, bands] from 0 to 1."""
    most = [mask // (mask & -mask) for mask in masks]
    levels = np.random.default_rng(bits).integers(0, np.array(most) + 1, (HEIGHT, WIDTH, len(masks)))
    values = sum(levels[..., band] * (mask & -mask) for band, mask in enumerate(masks))
    rows = np.asarray(values).astype(f"<u{bits // 8}")[:: 1 if top_down else -1]
    data = b"".join(row.tobytes().ljust(-(-WIDTH * bits // 32) * 4, b"\0") for row in rows)
    compression = ALPHA_MASKED if len(masks) > 3 else MASKED
    start = 54 + 4 * len(masks)
    size = struct.pack("<Iii", 40, WIDTH, -HEIGHT if top_down else HEIGHT)
    head = size + struct.pack("<HHIIiiII", 1, bits, compression, len(data), 0, 0, 0, 0)
    table = struct.pack(f"<{len(masks)}I", *masks)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + head + table + data, levels / most


@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize(
    ("masks", "bits"),
    [
        ((0xF800, 0x7E0, 0x1F), 16),
        ((0x7C00, 0x3E0, 0x1F), 16),
        ((0xC000, 0x3800, 0x7FF), 16),
        ((0xFF, 0xFF00, 0xFF0000), 32),
        ((0xFFE00000, 0x1FFC00, 0x3FF), 32),
    ],
)
def test_colours_may_lie_anywhere(masks: tuple[int, ...], bits: int, top_down: bool) -> None:
    data, levels = masked(masks, bits, top_down)
    assert np.abs(decode(data, AS_IT_IS).astype(int) - levels * 255).max() <= 8  # Pillow shifts where we scale


@pytest.mark.parametrize(
    ("masks", "bits"), [((0xF00, 0xF0, 0xF, 0xF000), 16), ((0xFF, 0xFF00, 0xFF0000, 0xFF << 24), 32)]
)
def test_alpha_may_lie_anywhere(masks: tuple[int, ...], bits: int) -> None:
    data, levels = masked(masks, bits)
    colours, alpha = levels[..., :3] * 255, levels[..., 3:]
    assert np.abs(decode(data, AS_IT_IS) - (colours * alpha + 255 * (1 - alpha))).max() <= 1.5
    assert np.abs(decode(data, AS_IT_IS, pixels=Pixels(background=None)) - colours).max() <= 1


def test_masked_colours_that_are_cut_short_are_damaged() -> None:
    data, _ = masked((0xC000, 0x3800, 0x7FF), 16)
    assert error_of(decode, data[:-1], AS_IT_IS).code is ErrorCode.UNDECODABLE
    assert error_of(decode, data, AS_IT_IS, Bounds(WIDTH * HEIGHT - 1)).code is ErrorCode.TOO_MANY_PIXELS


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_every_mode_of_pillow_is_read(mode: str) -> None:
    image = images.photo(SIZE).convert(mode)
    found = decode(images.encoded(image, "BMP"), AS_IT_IS)
    assert np.array_equal(found, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize(("bits", "compression", "name"), [(24, 4, "compression (4)"), (7, 0, "pixel depth (7)")])
def test_what_is_not_served_is_named(bits: int, compression: int, name: str) -> None:
    error = error_of(decode, bmp(4, 4, bits, compression, bytes(64)), AS_IT_IS)
    assert error.code is ErrorCode.UNSUPPORTED_COMPRESSION
    assert error.message == f"found a BMP of {name}, which is not served, needed another form: save it as PNG"


def test_more_pixels_than_pillow_opens_are_counted_by_the_worker() -> None:
    assert error_of(decode, bmp(1 << 20, 1 << 20), AS_IT_IS).code is ErrorCode.TOO_MANY_PIXELS
    assert Image.MAX_IMAGE_PIXELS is None
