"""`python -m scripts.bench.agreement`: compare a model folder's answers with the baseline's, image by image."""

import argparse
import io
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from scripts.bench.in_process import InProcessModel, open_model
from scripts.bench.peers import common


def compare(model: InProcessModel, images: list[bytes]) -> dict[str, float]:
    """Return the share of `images` with the same top class, the largest difference of a score, and their number."""
    network, transform = common.network(), common.transforms()
    same, largest = 0, 0.0
    with torch.inference_mode():
        for image in images:
            batch = transform(Image.open(io.BytesIO(image)).convert("RGB"))[None]
            expected = network(batch)[0].softmax(0).numpy()
            scores = model.output.scores(model.infer(np.stack([model.decode(image)]))[0])
            same += bool(expected.argmax() == scores.argmax())
            largest = max(largest, float(abs(expected - scores).max()))
    return {"agreement": same / len(images), "difference": largest, "images": len(images)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("images", type=Path)
    parser.add_argument("--gpu", default="", help="the GPU's UUID")
    options = parser.parse_args()
    bodies = [path.read_bytes() for path in sorted(options.images.iterdir())]
    model = open_model(options.folder, options.gpu)
    json.dump({"engine": model.engine, "precision": model.precision, **compare(model, bodies)}, sys.stdout)
