"""`[input]` of model.toml: what is read, what is refused word for word, and the images that come of it."""

import tomllib

import numpy as np
import pytest
from PIL import Image

from tests import images
from tests.errors import error_of
from worker.contract.errors import ErrorCode
from worker.contract.toml_reader import ModelError, TomlReader
from worker.decode import Bounds, Geometry, Pixels
from worker.models.input import Input, read_input
from worker.models.tiles import Tiles

PLAIN = """
size = [24, 32]
interpolation = "bicubic"
mean = [0.5, 0.5, 0]
std = [1, 0.2, 0.3]
"""
GREY = """
channels = 1
size = [24, 32]
interpolation = "bicubic"
mean = [0.5]
std = [0.2]
"""
TILES = """
[tiles]
size = [20, 30]
stride = 16
merge = "max"
"""


def read(text: str) -> Input:
    fields = TomlReader(tomllib.loads(text), "m", "input/")
    found = read_input(fields)
    fields.raise_faults()
    return found


def faults(text: str) -> list[str]:
    with pytest.raises(ModelError) as caught:
        read(text)
    return str(caught.value).replace("m: input/", "").splitlines()


def test_missing_keys_have_the_usual_values() -> None:
    assert read(PLAIN) == Input(Geometry((24, 32), None, "bicubic"), (0.5, 0.5, 0), (1, 0.2, 0.3))
    assert read(PLAIN).pixels == Pixels(3, None, (255, 255, 255))
    assert read(PLAIN).shape == (24, 32, 3)


def test_transparency_can_be_dropped() -> None:
    assert read(PLAIN + 'background = "drop"').pixels == Pixels(background=None)
    assert faults(PLAIN + 'background = "white"') == [
        "background: needs a list of 3 whole numbers, or drop, found 'white'"
    ]


def test_every_key_is_read() -> None:
    found = read(
        PLAIN + 'resize = 40\nrounding = "down"\nrange = [0, 4095]\nbackground = [1, 2, 3]\nmax_pixels = 5000' + TILES
    )
    assert found.geometry == Geometry((24, 32), 40, "bicubic", "down")
    assert found.pixels == Pixels(3, (0, 4095), (1, 2, 3))
    assert found.max_pixels == 5000
    assert not found.exact
    assert read(PLAIN + 'decode = "exact"').exact
    assert found.tiles == Tiles((20, 30), (16, 16), "max")


def test_resize_is_a_number_or_a_pair() -> None:
    assert read(PLAIN + "resize = [24, 50]").geometry.resize == (24, 50)
    assert read(PLAIN + "resize = 32").geometry.resize == 32


def test_tiles_are_merged_by_their_mean_by_default() -> None:
    found = read(PLAIN + "[tiles]\nsize = 20\nstride = 20")
    assert found.tiles == Tiles((20, 20), (20, 20), "mean")


@pytest.mark.parametrize("channels", [1, 2, 4, 13])
def test_mean_and_std_have_as_many_values_as_there_are_channels(channels: int) -> None:
    text = GREY.replace("channels = 1", f"channels = {channels}")
    fitting = text.replace("[0.5]", str([0.5] * channels)).replace("[0.2]", str([0.2] * channels))
    assert read(fitting).shape == (24, 32, channels)
    wrong = text.replace("[0.5]", str([0.5] * (channels + 1))).replace("[0.2]", str([0.2] * channels))
    assert faults(wrong) == [f"mean: needs a list of {channels} numbers, found {[0.5] * (channels + 1)}"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (PLAIN + "channels = 0", "channels: must be at least 1, found 0"),
        (PLAIN + "channels = true", "channels: needs a whole number, found True"),
        (PLAIN + 'channels = "rgb"', "channels: needs a whole number, found 'rgb'"),
        (PLAIN + "resize = 31", "resize: must be at least the larger side of size [24, 32], found 31"),
        (PLAIN + "resize = [40, 31]", "resize: must be at least size [24, 32], side for side, found [40, 31]"),
        (PLAIN + "resize = 40.5", "resize: needs a whole number or a list of 2, found 40.5"),
        (PLAIN + "resize = [40]", "resize: needs a whole number or a list of 2, found [40]"),
        (PLAIN + 'rounding = "up"', "rounding: needs one of even, down, found 'up'"),
        (PLAIN + "range = [9, 9]", "range: must be [black, white], the first below the second, found [9.0, 9.0]"),
        (PLAIN + "range = 255", "range: needs a list of 2 numbers, found 255"),
        (
            PLAIN + "background = [0, 0, 256]",
            "background: must be red, green and blue from 0 to 255, found [0, 0, 256]",
        ),
        (PLAIN + "background = [0]", "background: needs a list of 3 whole numbers, or drop, found [0]"),
        (
            GREY.replace("channels = 1", "channels = 4") + "background = [0, 0, 0]",
            "background: does not apply to 4 channels, since one may be alpha; remove it",
        ),
        (PLAIN + "max_pixels = 999", "max_pixels: needs a whole number from 1000 to 1000000000 (pixels), found 999"),
        (PLAIN + "max_pixels = 1.5", "max_pixels: needs a whole number, found 1.5"),
        (PLAIN + "tiles = 512", "tiles: needs a table, [input.tiles], found 512"),
        (PLAIN + TILES.replace("[20, 30]", "0"), "tiles/size: must be at least 1 pixel, found [0, 0]"),
        (
            PLAIN + TILES.replace("16", "[16, 31]"),
            "tiles/stride: must be from 1 to size [20, 30], or parts of the image would be skipped, found [16, 31]",
        ),
        (
            PLAIN + TILES.replace("16", "0"),
            "tiles/stride: must be from 1 to size [20, 30], or parts of the image would be skipped, found [0, 0]",
        ),
        (PLAIN + TILES.replace("stride = 16", ""), "tiles/stride: needs a whole number or a list of 2, found nothing"),
        (PLAIN + TILES.replace('"max"', '"vote"'), "tiles/merge: needs one of mean, max, found 'vote'"),
        (PLAIN + TILES + "overlap = 4", "tiles/overlap: is not a known key; remove it or correct its spelling"),
    ],
)
def test_a_fault_names_the_key_and_the_requirement(text: str, fault: str) -> None:
    assert fault in faults(text)


# Inputs


def inputs(model: Input, data: bytes) -> list[np.ndarray]:
    return model.inputs(model.open(data, Bounds()))


def test_a_grey_network_gets_one_channel() -> None:
    (found,) = inputs(read(GREY), images.encoded(images.photo(), "PNG"))
    assert (found.shape, found.dtype.name) == ((24, 32, 1), "uint8")


def test_the_lower_of_the_two_pixel_limits_applies() -> None:
    data = images.encoded(images.photo((40, 50)), "PNG")
    limited = read(PLAIN + "max_pixels = 1999")
    for model, worker, limit in ((limited, 64_000_000, 1999), (read(PLAIN), 1500, 1500), (limited, 1000, 1000)):
        error = error_of(model.open, data, Bounds(worker))
        assert error.code is ErrorCode.TOO_MANY_PIXELS
        assert f"needed at most {limit} " in error.message
    assert len(inputs(limited, images.encoded(images.photo((40, 40)), "PNG"))) == 1


def test_each_tile_is_a_part_of_the_upright_image_scaled_to_size() -> None:
    image, model = images.photo((61, 47)), read(PLAIN + "resize = 40" + TILES)
    found = inputs(model, images.turned(image, 6))
    assert model.tiles
    boxes = model.tiles.boxes(61, 47)
    assert len(found) == len(boxes) > 4
    for tile, box in zip(found, boxes, strict=True):
        expected = image.crop(box).resize((32, 24), Image.Resampling.BICUBIC)
        assert np.array_equal(tile, np.asarray(expected))


def test_an_image_no_larger_than_a_tile_is_preprocessed_as_without_tiles() -> None:
    data = images.encoded(images.photo((30, 20)), "PNG")
    (tiled,), (plain,) = (inputs(read(PLAIN + "resize = 40" + more), data) for more in (TILES, ""))
    assert np.array_equal(tiled, plain)


def test_the_answers_to_all_tiles_become_one() -> None:
    """Asked for its mean, an image that is white in one corner alone is black to most tiles."""
    image = Image.new("L", (60, 40))
    image.paste(255, (50, 30, 60, 40))
    data = images.encoded(image, "PNG")

    def brightness(batch: np.ndarray) -> np.ndarray:
        return batch.astype(np.float32).mean(axis=(1, 2))

    most = read(GREY + TILES.replace("20, 30", "10, 10").replace("16", "10")).logits(data, Bounds(), brightness)
    mean = read(GREY + TILES.replace("20, 30", "10, 10").replace("16", "10").replace("max", "mean")).logits(
        data, Bounds(), brightness
    )
    assert most.tolist() == [255]
    assert mean.tolist() == pytest.approx([255 / 24])
