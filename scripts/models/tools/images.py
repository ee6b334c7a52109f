"""Generate images with the statistics of photographs from a seed, for calibration and load tests.

Overlapping leaves whose sizes follow a power law reproduce the edges and the 1/f spectrum of natural images
(A. B. Lee, D. Mumford and J. Huang, "Occlusion models for natural images", 2001); each leaf has a texture with the
same spectrum. Colours vary along the axes of natural images, far more in lightness than in hue
(D. Ruderman, T. Cronin and C.-C. Chiao, "Statistics of cone responses to natural images", 1998).
The images show no object that a classifier knows: they measure speed and agreement, not accuracy.
"""

import io

import numpy as np
import tifffile
from PIL import Image, ImageDraw, ImageFilter

SIZE = (500, 375)  # (width, height) of a typical photo in ImageNet
QUALITY = 90
LEAVES = 400
MIN_RADIUS, MAX_RADIUS = 0.01, 0.6  # radius of a leaf, as a share of the image's longer side
MAX_CORNERS, ELLIPSE_CORNERS = 9, 24  # of a polygonal leaf; half of the leaves are ellipses
REFERENCE_ROUGHNESS = 64  # grey level of the roughness image at which the texture has TEXTURE_SPREAD
AXES = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], np.float32)  # lightness, yellow to blue, magenta to green
AXES /= np.linalg.norm(AXES, axis=1, keepdims=True)
LEAF_SPREAD = np.array([95, 28, 13], np.float32)  # standard deviations along AXES, of values from 0 to 255
TEXTURE_SPREAD = np.array([64, 11, 6], np.float32)
LENS_BLUR = 0.4  # pixels


def photo(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """Return the RGB image of `size` (width, height) for `seed`."""
    rng = np.random.default_rng(seed)
    leaves, roughness = _leaves(rng, size)
    texture = _noise(rng, size) * TEXTURE_SPREAD @ AXES
    pixels = leaves + texture * roughness[..., None]
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(LENS_BLUR * max(size) / max(SIZE)))


def jpeg(seed: int, size: tuple[int, int] = SIZE) -> bytes:
    """Return `photo(seed, size)` as a JPEG file: about 100 KB at the default size."""
    stream = io.BytesIO()
    photo(seed, size).save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


def tiff(values: np.ndarray) -> bytes:
    """Return `values` [H, W, bands] as a TIFF file with the bands of each pixel together."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, planarconfig="contig")
    return stream.getvalue()


def _leaves(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the colours, float32 [H, W, 3], and the strength of the texture, float32 [H, W] around 1."""
    mean_colour = rng.normal(115, 25) + rng.normal(0, LEAF_SPREAD * 0.3) @ AXES
    fills = np.clip(mean_colour + rng.normal(0, LEAF_SPREAD, (LEAVES + 1, 3)) @ AXES, 0, 255).astype(int).tolist()
    greys = np.clip(rng.lognormal(4.0, 0.7, LEAVES + 1), 0, 255).astype(int).tolist()
    colours, roughness = Image.new("RGB", size, tuple(fills[0])), Image.new("L", size, greys[0])
    on_colours, on_roughness = ImageDraw.Draw(colours), ImageDraw.Draw(roughness)
    for outline, fill, grey in zip(_outlines(rng, size), fills[1:], greys[1:], strict=True):
        on_colours.polygon(outline, fill=tuple(fill))
        on_roughness.polygon(outline, fill=grey)
    return np.asarray(colours, np.float32), np.asarray(roughness, np.float32) / REFERENCE_ROUGHNESS


def _outlines(rng: np.random.Generator, size: tuple[int, int]) -> list[list[float]]:
    """Return the outlines of leaves at random places, each as [x, y, x, y, ...] in pixels.

    The density of their radius r falls as r**-3.
    """
    radius = (MIN_RADIUS**-2 + rng.uniform(size=LEAVES) * (MAX_RADIUS**-2 - MIN_RADIUS**-2)) ** -0.5 * max(size)
    corners = np.where(rng.uniform(size=LEAVES) < 0.5, ELLIPSE_CORNERS, rng.integers(3, MAX_CORNERS + 1, LEAVES))
    step = np.minimum(np.arange(ELLIPSE_CORNERS), corners[:, None] - 1) * (2 * np.pi / corners[:, None])
    angles = step + rng.uniform(0, 2 * np.pi, (LEAVES, 1))
    x, y = radius[:, None] * np.cos(angles), (radius * rng.uniform(0.3, 1, LEAVES))[:, None] * np.sin(angles)
    rotation = rng.uniform(0, np.pi, (LEAVES, 1))
    points = np.stack(
        [x * np.cos(rotation) - y * np.sin(rotation), x * np.sin(rotation) + y * np.cos(rotation)], axis=-1
    )
    return (points + rng.uniform(0, 1, (LEAVES, 1, 2)) * size).reshape(LEAVES, -1).tolist()


def _noise(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Return noise of amplitude 1/f, float32 [H, W, axes], with mean 0 and standard deviation 1 along each of AXES."""
    width, height = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]).astype(np.float32)
    frequency[0, 0] = np.inf
    spectrum = rng.standard_normal((len(AXES), *frequency.shape, 2), np.float32).view(np.complex64)[..., 0] / frequency
    noise = np.fft.irfft2(spectrum, s=(height, width))
    return np.moveaxis(noise / noise.std(axis=(1, 2), keepdims=True), 0, -1)
