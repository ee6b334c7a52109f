"""Small copies of images, as data URLs for a page."""

import base64
import io
from pathlib import Path

from PIL import Image

from worker.decode import Pixels, read
from worker.limits import LIMITS

SIDE, QUALITY = 240, 80  # pixels of the longer side; of the JPEG
RGB = 3


def data_url(path: Path, pixels: Pixels) -> str:
    """Return a JPEG of the image at `path` as a network of `pixels` sees its colours, "" where that cannot be made."""
    try:
        bands = read(path.read_bytes(), LIMITS["max_pixels"].default, pixels).upright().bands
        image = Image.merge("RGB", bands[:RGB]) if len(bands) >= RGB else bands[0]
        image.thumbnail((SIDE, SIDE))
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=QUALITY)
    except Exception:  # a file that has changed meanwhile is worth no report
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
