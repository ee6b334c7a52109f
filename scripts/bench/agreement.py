"""`python -m scripts.bench.agreement`: does the fast way give the answers of the articles' way, image by image?"""

import argparse
import io
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from scripts.bench.in_process import Inside, open_model
from scripts.bench.peers import common


def compare(model: Inside, images: list[bytes]) -> dict[str, float]:
    """The share of `images` with the same best class, the largest difference of a score, and how many there were."""
    network, transform = common.network(), common.transforms()
    same, largest = 0, 0.0
    with torch.inference_mode():
        for image in images:
            batch = transform(Image.open(io.BytesIO(image)).convert("RGB"))[None]
            wanted = network(batch)[0].softmax(0).numpy()
            found = model.output.scores(model.infer(np.stack([model.decode(image)]))[0])
            same += bool(wanted.argmax() == found.argmax())
            largest = max(largest, float(abs(wanted - found).max()))
    return {"agreement": same / len(images), "difference": largest, "images": len(images)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("images", type=Path)
    parser.add_argument("--gpu", default="", help="its UUID")
    options = parser.parse_args()
    bodies = [path.read_bytes() for path in sorted(options.images.iterdir())]
    opened = open_model(options.folder, options.gpu)
    json.dump({"engine": opened.engine, "precision": opened.precision, **compare(opened, bodies)}, sys.stdout)
