"""Make thumbnails of images, as data URLs for the page."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from scripts.models.tools.prepare.isolated import ProcessFailed, all_cpus, run_isolated
from worker.decode import Bounds, Pixels, open_image

SIDE, QUALITY = 240, 80  # pixels of the longer side, JPEG quality
RGB = 3  # bands
TIMEOUT_S = 300.0


def data_urls(paths: Sequence[Path], pixels: Pixels) -> list[str]:
    """Return a JPEG of every image at `paths`, decoded as for a network of `pixels`; "" for one that fails.

    They are made in a process of their own, so that a crash costs the thumbnails and not the report.
    """
    try:
        return run_isolated(all_cpus(), TIMEOUT_S, _data_urls, paths, pixels)
    except ProcessFailed:
        return [""] * len(paths)


def _data_urls(paths: Sequence[Path], pixels: Pixels) -> list[str]:
    return [_data_url(path, pixels) for path in paths]


def _data_url(path: Path, pixels: Pixels) -> str:
    try:
        bands = open_image(path.read_bytes(), Bounds(), pixels).upright().bands
        image = Image.merge("RGB", bands[:RGB]) if len(bands) >= RGB else bands[0]
        image.thumbnail((SIDE, SIDE))
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=QUALITY)
    except Exception:  # such as a file that was removed meanwhile
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
