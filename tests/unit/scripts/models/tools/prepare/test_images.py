"""The generated images have a photograph's statistics, which speed and compression depend on."""

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from scripts.models.tools.images import SIZE, jpeg, photo

SEEDS = range(8)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.stack([np.asarray(photo(seed), np.float64) for seed in SEEDS])


def slope(grey: np.ndarray) -> float:
    """The exponent of the power spectrum, by least squares over a decade and a half of frequencies."""
    power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
    frequency = np.hypot(np.fft.fftfreq(grey.shape[0])[:, None], np.fft.fftfreq(grey.shape[1])[None])
    edges = np.logspace(-2, -0.5, 12)
    bands = [power[(frequency >= low) & (frequency < high)].mean() for low, high in pairwise(edges)]
    return float(np.polyfit(np.log(np.sqrt(edges[1:] * edges[:-1])), np.log(bands), 1)[0])


def test_the_spectrum_falls_as_that_of_natural_images(images: np.ndarray) -> None:
    """Tolhurst, Tadmor and Chao, "Amplitude spectra of natural images", 1992: -2.4 in power, from -3 to -1.6."""
    slopes = [slope(image.mean(axis=-1)) for image in images]
    assert all(-3 < value < -1.6 for value in slopes)
    assert -2.6 < np.mean(slopes) < -2.1


def test_the_channels_correlate_and_the_contrast_is_that_of_a_photograph(images: np.ndarray) -> None:
    correlations = np.array([np.corrcoef(image.reshape(-1, 3).T) for image in images]).mean(axis=0)
    red_green, red_blue, green_blue = correlations[0, 1], correlations[0, 2], correlations[1, 2]
    assert 0.8 < red_blue < min(red_green, green_blue) < 0.99
    assert 40 < images.std(axis=(1, 2)).mean() < 75


def test_a_file_is_as_large_as_a_photograph(images: np.ndarray) -> None:
    files = [jpeg(seed) for seed in SEEDS]
    assert 80_000 < np.mean([len(file) for file in files]) < 120_000
    assert Image.open(io.BytesIO(files[0])).size == SIZE == (500, 375)


def test_a_seed_determines_the_image() -> None:
    assert photo(3, (60, 40)).tobytes() == photo(3, (60, 40)).tobytes()
    assert photo(3, (60, 40)).tobytes() != photo(4, (60, 40)).tobytes()
    assert (photo(3, (60, 40)).size, photo(3, (60, 40)).mode) == ((60, 40), "RGB")
