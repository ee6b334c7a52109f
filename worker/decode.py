"""From the bytes of a picture to the pixels a network takes: one crop-and-scale pass, no copy more than needed."""

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from worker.errors import BadRequest, Undecodable, UnsupportedType

INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}
FORMATS = ("JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "AVIF")
MIME_TYPES = tuple(f"image/{name.lower()}" for name in FORMATS)
BACKGROUND = (255, 255, 255, 255)
ORIENTATION_TAG = 0x0112  # EXIF 2.3, tag 274
UPRIGHT = 1
TURNS = {  # what brings a picture stored with this orientation upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# The limit is checked against the settings, before any pixel is read.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True)
class Geometry:
    """How a picture is brought to the network's size.

    `size` is (height, width) in pixels. With `resize` the shorter side is scaled to it and `size` cut from the
    centre, as torchvision's Resize and CenterCrop do; without, the whole picture is stretched to `size`.
    """

    size: tuple[int, int]
    resize: int | None
    interpolation: str

    def box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The part of a `width` x `height` picture that is kept, as (left, top, right, bottom) in its pixels."""
        if self.resize is None:
            return 0, 0, width, height
        short = min(width, height)
        scaled = [int(self.resize * side / short) for side in (width, height)]  # torchvision rounds down too
        out = self.size[::-1]
        starts = [round((side - cut) / 2) for side, cut in zip(scaled, out, strict=True)]
        left, top = (start * full / side for start, full, side in zip(starts, (width, height), scaled, strict=True))
        wide, high = (cut * full / side for cut, full, side in zip(out, (width, height), scaled, strict=True))
        return left, top, min(left + wide, width), min(top + high, height)


def decode(data: bytes, geometry: Geometry, max_pixels: int) -> np.ndarray:
    """Decode `data` to uint8 RGB of shape [height, width, 3].

    Raises BadRequest (empty), UnsupportedType (not a served format) or Undecodable (broken, truncated, too large).
    """
    if not data:
        raise BadRequest("the image is empty (0 bytes); send the bytes of a picture", "empty_image")
    kind = sniff(data)
    if kind is None:
        raise UnsupportedType(f"the bytes are not an image of a served type; send {', '.join(FORMATS)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata; the log is for what failed
            image = Image.open(io.BytesIO(data), formats=[kind.upper()])
            _refuse_bomb(image, max_pixels)
            image.load()
            upright = _rgb(_oriented(image))
    except Undecodable:
        raise
    except UnidentifiedImageError as error:  # its text is the address of our buffer
        raise Undecodable(f"the {kind} cannot be decoded: its header is damaged or cut short, send it again") from error
    except Exception as error:  # Pillow's plugins raise whatever a broken file provokes
        raise Undecodable(
            f"the {kind} cannot be decoded ({error}); it is damaged or cut short, send it again"
        ) from error
    height, width = geometry.size
    box = geometry.box(upright.width, upright.height)
    return np.asarray(upright.resize((width, height), INTERPOLATIONS[geometry.interpolation], box))


def sniff(data: bytes) -> str | None:
    """The served format that `data` starts like, or None. A file's name and declared type prove nothing."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if data.startswith(b"BM"):
        return "BMP"
    if data.startswith((b"II*\x00", b"MM\x00*")):
        return "TIFF"
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return "AVIF"
    return None


def _refuse_bomb(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise Undecodable(
            f"the image has {image.width} x {image.height} pixels, more than the {max_pixels} served; scale it down",
            "too_many_pixels",
        )


def _oriented(image: Image.Image) -> Image.Image:
    # Not ImageOps.exif_transpose: it also rewrites the metadata, which fails where a tag of it is broken.
    try:
        turn = TURNS.get(image.getexif().get(ORIENTATION_TAG, UPRIGHT))
    except Exception:  # broken metadata is no reason to refuse good pixels
        return image
    return image if turn is None else image.transpose(turn)


def _rgb(image: Image.Image) -> Image.Image:
    """Any mode to RGB: wide grey values are scaled instead of clipped, transparency lies on the background."""
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bit(np.asarray(image)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, BACKGROUND), rgba).convert("RGB")
    return image.convert("RGB")


def _eight_bit(values: np.ndarray) -> Image.Image:
    """Grey values of 16 or 32 bit integers (0..65535) or floats (0..1, or 0..255 when larger) as 8 bit."""
    if values.dtype.kind == "f":
        finite = np.nan_to_num(values, nan=0.0, posinf=255.0, neginf=0.0)
        scaled = finite * 255 if finite.max(initial=0) <= 1 else finite
    else:
        scaled = values / 257
    return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))
