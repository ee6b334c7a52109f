"""Images to send: enlarged photographs, or ones that are generated with the statistics of photographs."""

from pathlib import Path

from PIL import Image, ImageOps

from scripts.bench.targets import LARGEST, MIDDLE, SMALLEST
from scripts.models.tools.images import photo

# (width, height), repeated by frequency. Most of ImageNet's photographs have 500 pixels on the long side, two of three
# in landscape format; the larger sizes are those of screens and of phones' sensors.
SHAPES = {
    SMALLEST: [(500, 375)] * 5 + [(375, 500)] * 2 + [(500, 333)] * 2 + [(333, 500), (500, 400), (400, 300), (640, 480)],
    MIDDLE: [(1920, 1080), (1632, 1224), (1224, 1632)],
    LARGEST: [(4000, 3000), (3000, 4000)],
}
QUALITY = {SMALLEST: 90, MIDDLE: 95, LARGEST: 95}  # phones write 92 to 97; the web compresses more


def write(out: str, size: str, count: int, photos: str = "") -> None:
    """Write `count` JPEG files of `size` megapixels into the new folder `out`: generated, or enlarged `photos`."""
    Path(out).mkdir()
    files = sorted(Path(photos).iterdir())[:count] if photos else []
    for number in range(len(files) or count):
        shape = SHAPES[size][number % len(SHAPES[size])]
        image = enlarged(files[number], float(size)) if files else photo(number, shape)
        image.save(Path(out) / f"{number:04}.jpg", quality=QUALITY[size])


def enlarged(path: Path, megapixels: float) -> Image.Image:
    """Return the photograph upright in RGB, enlarged to `megapixels` if it has fewer."""
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    factor = max(1.0, (megapixels * 1e6 / (upright.width * upright.height)) ** 0.5)
    return upright.resize((round(upright.width * factor), round(upright.height * factor)), Image.Resampling.BICUBIC)
