"""Scaled compared with exact decoding, on images of every kind that a network takes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from scripts.models.tools.images import jpeg, photo, tiff
from scripts.models.tools.prepare.benchmark import Candidate, ModelUnderTest
from scripts.models.tools.prepare.decoding import compare_decoding, enlarged, save_pairs
from scripts.models.tools.prepare.effort import QUICK
from tests import images
from tests.folders import SIZE, openvino_folder
from worker.contract.decoding import LARGE, SIZES, SMALL, DecodingMeasurement
from worker.decode import Bounds, Geometry, Pixels, open_image
from worker.models.input import Input

GEOMETRY = Geometry((SIZE, SIZE), 40, "bicubic")
SMALLER = (60, 45)  # than what decoding shrinks for that geometry


def photos(count: int) -> list[bytes]:
    return [jpeg(seed, SMALLER) for seed in range(count)]


def saved(path: Path, model_input: Input, files: list[bytes]) -> dict[str, np.ndarray]:
    save_pairs(model_input, files, path)
    images = np.load(path)
    return {size: images[:, number] for number, size in enumerate(SIZES)}


@pytest.mark.parametrize("geometry", [GEOMETRY, Geometry((24, 32), None, "bilinear"), Geometry((8, 8), (40, 9), "box")])
@pytest.mark.parametrize("size", [(50, 40), (40, 50), (31, 200)])
def test_an_enlarged_image_is_just_large_enough_to_be_shrunk(geometry: Geometry, size: tuple[int, int]) -> None:
    image = open_image(images.encoded(images.photo(size), "PNG"), Bounds(), Pixels()).upright()
    width, height = open_image(enlarged(image, geometry), Bounds(), Pixels()).size
    across, down = geometry.scaled(width, height)
    assert width / height == pytest.approx(size[0] / size[1], rel=0.05)
    assert 4 <= min(width / across, height / down) < 4.2


def test_an_image_that_would_be_too_large_is_left_out(tmp_path: Path) -> None:
    long = images.encoded(images.photo((4000, 3)), "PNG")
    found = saved(tmp_path / "pairs.npy", Input(GEOMETRY, (0.5,) * 3, (0.5,) * 3), [long, b"no image", *photos(1)])
    assert len(found[SMALL]) == len(found[LARGE]) == 1


@pytest.mark.parametrize("channels", [1, 2, 3, 7])
def test_small_images_are_decoded_whole_in_both_ways_and_large_ones_are_not(tmp_path: Path, channels: int) -> None:
    values = np.concatenate([np.asarray(photo(seed, SMALLER)) for seed in range(3)], axis=-1)
    files = photos(3) if channels in (1, 3) else [tiff(values[..., :channels])] * 3
    model_input = Input(GEOMETRY, (0.5,) * channels, (0.5,) * channels, Pixels(channels, (0, 100)))
    found = saved(tmp_path / "pairs.npy", model_input, files)
    for size in (SMALL, LARGE):
        assert found[size].shape == (3, 2, SIZE, SIZE, channels)
        assert found[size].dtype == np.uint8
        assert np.array_equal(found[size][:, 0], found[size][:, 1]) == (size == SMALL)
    # The values were brought to 8 bits before the image was enlarged, and are not again.
    assert np.abs(found[LARGE].astype(int) - found[SMALL]).mean() < 6


class Erratic(torch.nn.Module):
    """A network whose answer changes with every grey level."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.sin(pixels.mean(dim=(2, 3)) * 1e5) * 10


def compared(path: Path, network: torch.nn.Module | None) -> list[DecodingMeasurement]:
    folder = openvino_folder(path / "model", network=network)
    save_pairs(Input(GEOMETRY, (0.5,) * 3, (0.5,) * 3), photos(24), path / "pairs.npy")
    model = ModelUnderTest(folder, {}, path / "none.npy", QUICK)
    return compare_decoding(model, Candidate("openvino", "f32", ""), path / "pairs.npy", 1)


def test_a_network_that_does_not_need_every_pixel_answers_alike(tmp_path: Path) -> None:
    small, large = compared(tmp_path, None)
    assert small == DecodingMeasurement(SMALL, 24, 1.0, 0.0)
    assert (large.size, large.images, large.agreement, large.passed) == (LARGE, 24, 1.0, True)
    assert 0 < large.difference < 0.05


def test_a_network_that_needs_every_pixel_does_not(tmp_path: Path) -> None:
    small, large = compared(tmp_path, Erratic())
    assert small.passed
    assert large.agreement < 0.9
    assert not large.passed
    assert large.difference > 0.5
