"""`python -m scripts.bench.photos`: generate the images sent to all servers, JPEG files of typical sizes."""

import argparse
from pathlib import Path

from scripts.models.tools.images import jpeg

# (width, height), repeated by frequency: most of ImageNet's photos have 500 pixels on the long side, two of three in
# landscape format.
SIZES = [(500, 375)] * 5 + [(375, 500)] * 2 + [(500, 333)] * 2 + [(333, 500), (500, 400), (400, 300), (640, 480)]

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    for seed in range(options.count):
        (options.out / f"{seed:04}.jpg").write_bytes(jpeg(seed, SIZES[seed % len(SIZES)]))
