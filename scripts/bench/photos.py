"""Images to send, generated with the statistics of photographs."""

from pathlib import Path

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


def write(out: str, size: str, count: int) -> None:
    """Write `count` JPEG files of `size` megapixels into the new folder `out`."""
    Path(out).mkdir()
    for number in range(count):
        image = photo(number, SHAPES[size][number % len(SHAPES[size])])
        image.save(Path(out) / f"{number:04}.jpg", quality=QUALITY[size])
