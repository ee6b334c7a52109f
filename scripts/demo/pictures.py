"""The demo's pictures: `picture(seed, index)` is a pure function to one JPEG and its label.

A thing's glyph is drawn at random size, place and angle, its colours shifted, on a random background,
then blurred, made noisy and compressed, as pictures that people post are.
"""

import io
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

from scripts.demo.backgrounds import Rng, background
from scripts.demo.classes import read_things

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
FONT_PACKAGE = "fonts-noto-color-emoji"
FONT_SIZE = 109  # the one size the font's bitmaps come in
GLYPH_SIZE = (136, 128)  # what it draws at that size

SHORT_SIDE = (128, 400)  # pixels, drawn evenly on a logarithmic scale
ASPECT = (0.72, 1.4)  # width : height
SCALE = (0.45, 0.98)  # the thing's side : the picture's shorter side
TILT = 35.0  # degrees either way
OVERHANG = 0.06  # of the thing's side that may hang over the central square
SQUEEZE = (0.88, 1.12)  # width up, height down
SATURATION = (0.55, 1.4)
CONTRAST = (0.7, 1.25)
BRIGHTNESS = (0.75, 1.2)
TINT = (0.9, 1.1)  # of red, green and blue, each by itself
LIGHT = (0.65, 1.25)  # brightness of the whole picture
BLUR = (0.002, 0.014)  # Gaussian radius : the picture's shorter side
GRAIN = (3, 22)  # standard deviation, of 255
QUALITY = (40, 95)  # JPEG
# Shares of the pictures that are
MIRRORED, SHADOWED, DIMMED, BLURRED, GRAINY = 0.5, 0.25, 0.3, 0.35, 0.25


@dataclass(frozen=True)
class Picture:
    jpeg: bytes
    label: int


class FontMissingError(RuntimeError):
    """The colour emoji font is not installed."""


@cache
def glyphs(font: Path = FONT) -> tuple[Image.Image, ...]:
    """Every class's glyph, RGBA of GLYPH_SIZE, in index order; `FontMissingError` without the font."""
    if not font.is_file():
        raise FontMissingError(f"{font} is missing; install it with: apt-get install {FONT_PACKAGE}")
    face = ImageFont.truetype(font, FONT_SIZE)
    drawn = []
    for thing in read_things():
        image = Image.new("RGBA", GLYPH_SIZE)
        ImageDraw.Draw(image).text((0, 0), thing.glyph, font=face, embedded_color=True)
        if image.getbbox() is None:
            what = f"{thing.glyph} ({thing.english})"
            raise RuntimeError(f"{font} draws nothing for {what}; upgrade the package {FONT_PACKAGE}")
        drawn.append(image)
    return tuple(drawn)


def picture(seed: int, index: int, label: int | None = None, short_side: int | None = None) -> Picture:
    """Picture `index` of stream `seed`: every round of the classes is shuffled, unless `label` names one.

    `short_side` (pixels) fixes the size. The same arguments always give the same bytes.
    """
    rng = np.random.default_rng((seed, index))
    things = glyphs()
    if label is None:
        label = _order(seed, index // len(things), len(things))[index % len(things)]
    short = int(np.exp(rng.uniform(*np.log(SHORT_SIDE)))) if short_side is None else short_side
    aspect = np.exp(rng.uniform(*np.log(ASPECT)))
    width, height = (round(short * aspect), short) if aspect > 1 else (short, round(short / aspect))
    image = background(rng, things).resize((width, height), Image.Resampling.BILINEAR)
    _draw(rng, image, _recoloured(rng, things[label]))
    buffer = io.BytesIO()
    _spoilt(rng, image).save(buffer, "JPEG", quality=int(rng.integers(QUALITY[0], QUALITY[1] + 1)))
    return Picture(buffer.getvalue(), label)


@lru_cache(maxsize=4)
def _order(seed: int, turn: int, classes: int) -> list[int]:
    """The order in which one round of pictures shows all classes."""
    return [int(label) for label in np.random.default_rng((seed, turn, classes)).permutation(classes)]


def _recoloured(rng: Rng, glyph: Image.Image) -> Image.Image:
    """Brightness, contrast, saturation and tint shifted by one colour matrix; transparency kept."""
    saturation, contrast = rng.uniform(*SATURATION), rng.uniform(*CONTRAST)
    gain = rng.uniform(*BRIGHTNESS) * rng.uniform(*TINT, 3)
    luma = np.tile((0.299, 0.587, 0.114), (3, 1))
    matrix = (saturation * np.eye(3) + (1 - saturation) * luma) * contrast * gain[:, None]
    shift = 128 * (1 - contrast) * gain
    rows = np.concatenate([matrix, shift[:, None]], axis=1)
    colours = glyph.convert("RGB").convert("RGB", tuple(float(value) for value in rows.ravel()))
    colours.putalpha(glyph.getchannel("A"))
    return colours


def _draw(rng: Rng, image: Image.Image, glyph: Image.Image) -> None:
    """Scale, squeeze, mirror, tilt and place the glyph, sometimes over a soft shadow."""
    short = min(image.size)
    side = short * rng.uniform(*SCALE)
    squeeze = rng.uniform(*SQUEEZE)
    if rng.random() < MIRRORED:
        glyph = glyph.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    tilted = glyph.rotate(rng.uniform(-TILT, TILT), Image.Resampling.BILINEAR, expand=True)
    tilted = tilted.crop(tilted.getbbox())
    scale = side / max(tilted.size)
    extent = (scale * squeeze * tilted.width, scale / squeeze * tilted.height)
    tilted = tilted.resize((max(8, int(extent[0])), max(8, int(extent[1]))), Image.Resampling.BILINEAR)
    left, top = (
        int((full - short) / 2 + _place(rng, short, taken)) for full, taken in zip(image.size, tilted.size, strict=True)
    )
    if rng.random() < SHADOWED:
        away = int(rng.integers(1, max(2, short // 25)))
        shadow = tilted.getchannel("A").filter(ImageFilter.BoxBlur(away / 2)).point(lambda alpha: alpha // 2)
        image.paste((0, 0, 0), (left + away, top + away), shadow)
    image.paste(tilted, (left, top), tilted)


def _place(rng: Rng, room: int, extent: int) -> float:
    """Where a thing of `extent` pixels starts in `room` pixels, at most OVERHANG of it outside."""
    slack = OVERHANG * extent
    first, last = -slack, room - extent + slack
    return float(rng.uniform(first, last)) if first < last else (room - extent) / 2


def _spoilt(rng: Rng, image: Image.Image) -> Image.Image:
    """Light, blur and grain of the whole picture."""
    if rng.random() < DIMMED:
        image = ImageEnhance.Brightness(image).enhance(rng.uniform(*LIGHT))
    if rng.random() < BLURRED:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(*BLUR) * min(image.size)))
    if rng.random() < GRAINY:
        pixels = np.asarray(image, dtype=np.float32)
        grain = rng.standard_normal(pixels.shape[:2], dtype=np.float32) * np.float32(rng.uniform(*GRAIN))
        image = Image.fromarray(np.clip(pixels + grain[..., None], 0, 255).astype(np.uint8))
    return image
