"""Backgrounds the demo's things are drawn on: pure functions of a random generator.

They are made at `SIDE` pixels and scaled to the picture afterwards, so that a large picture costs no more
than a small one.
"""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 128
Rng = np.random.Generator


def _colour(rng: Rng) -> tuple[int, int, int]:
    """Any colour; two in five are near white, near black or grey, as real backdrops are."""
    kind = rng.random()
    if kind < 0.25:
        base, spread = 240, 15
    elif kind < 0.32:
        base, spread = 20, 20
    elif kind < 0.4:
        base, spread = int(rng.integers(30, 225)), 12
    else:
        base, spread = 128, 127
    red, green, blue = (int(value) for value in base + rng.integers(-spread, spread + 1, 3))
    return red, green, blue


def _ramp(rng: Rng) -> np.ndarray:
    """A straight ramp over the square in a random direction, float32 [SIDE, SIDE], unit length per side."""
    angle = rng.uniform(0, 2 * np.pi)
    axis = np.linspace(-0.5, 0.5, SIDE, dtype=np.float32)
    return axis[None, :] * np.float32(np.cos(angle)) + axis[:, None] * np.float32(np.sin(angle))


def _mix(rng: Rng, weight: np.ndarray) -> Image.Image:
    """Two colours mixed by `weight`, float [SIDE, SIDE] in 0..1."""
    mask = Image.fromarray((weight * 255).astype(np.uint8))
    size = (SIDE, SIDE)
    return Image.composite(Image.new("RGB", size, _colour(rng)), Image.new("RGB", size, _colour(rng)), mask)


def flat(rng: Rng) -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE), _colour(rng))


def gradient(rng: Rng) -> Image.Image:
    ramp = _ramp(rng)
    if rng.random() < 0.4:
        ramp = np.hypot(ramp, _ramp(rng))
    return _mix(rng, np.clip(ramp + 0.5, 0, 1))


def noise(rng: Rng) -> Image.Image:
    cells = int(rng.choice((3, 5, 9, 16, 32, 64)))
    contrast = rng.uniform(0.15, 1)
    grain = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
    return Image.blend(flat(rng), grain.resize((SIDE, SIDE), Image.Resampling.BICUBIC), contrast)


def stripes(rng: Rng) -> Image.Image:
    wave = np.sin(_ramp(rng) * rng.uniform(10, 70))
    if rng.random() < 0.5:
        wave = wave * np.sin(_ramp(rng) * rng.uniform(10, 70))
    return _mix(rng, np.clip(wave * rng.uniform(1, 12) + 0.5, 0, 1))


def blobs(rng: Rng) -> Image.Image:
    image = flat(rng)
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(3, 12)):
        x, y = rng.uniform(-20, SIDE, 2)
        width, height = rng.uniform(8, 80, 2)
        shape = draw.ellipse if rng.random() < 0.6 else draw.rectangle
        shape((x, y, x + width, y + height), fill=_colour(rng))
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 8)))


def writing(rng: Rng) -> Image.Image:
    """Rows of short strokes: a page of print seen from afar."""
    image = flat(rng)
    draw = ImageDraw.Draw(image)
    ink, step = _colour(rng), int(rng.integers(6, 16))
    for top in range(int(rng.integers(0, step)), SIDE, step):
        x = float(rng.uniform(0, 12))
        while x < SIDE:
            width = float(rng.uniform(1, step * 1.5))
            slant, height = rng.uniform(-2, 2), rng.uniform(0.2, 0.7) * step
            draw.line((x, top, x + slant, top + height), fill=ink, width=1)
            draw.line((x, top + height / 2, x + width, top + height / 2), fill=ink, width=1)
            x += width + float(rng.uniform(1, 5))
    return image


def bokeh(rng: Rng, glyphs: Sequence[Image.Image]) -> Image.Image:
    """Other things, far out of focus."""
    image = gradient(rng)
    for _ in range(rng.integers(1, 5)):
        side = int(rng.integers(24, 72))
        glyph = glyphs[int(rng.integers(len(glyphs)))].resize((side, side))
        image.paste(glyph, (int(rng.integers(-20, SIDE)), int(rng.integers(-20, SIDE))), glyph)
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(4, 10)))


# How often each kind is drawn.
KINDS: tuple[tuple[Callable[[Rng], Image.Image], float], ...] = (
    (flat, 0.28),
    (gradient, 0.16),
    (noise, 0.16),
    (stripes, 0.12),
    (blobs, 0.12),
    (writing, 0.06),
)


def background(rng: Rng, glyphs: Sequence[Image.Image]) -> Image.Image:
    """One background, RGB, SIDE x SIDE; what `KINDS` leaves over is `bokeh`."""
    draw = rng.random()
    for kind, share in KINDS:
        if draw < share:
            return kind(rng)
        draw -= share
    return bokeh(rng, glyphs)
