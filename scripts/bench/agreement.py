"""`python -m scripts.bench.agreement`: does the fast way give the answers of the articles' way, picture by picture?"""

import argparse
import io
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from scripts.bench.inside import Inside, open_model
from scripts.bench.peers import given


def compare(model: Inside, pictures: list[bytes]) -> dict[str, float]:
    """The share of `pictures` with the same best class, the largest difference of a score, and how many there were."""
    network, transform = given.network(), given.transforms()
    same, largest = 0, 0.0
    with torch.inference_mode():
        for picture in pictures:
            batch = transform(Image.open(io.BytesIO(picture)).convert("RGB"))[None]
            wanted = network(batch)[0].softmax(0).numpy()
            found = model.output.scores(model.infer(np.stack([model.decode(picture)]))[0])
            same += bool(wanted.argmax() == found.argmax())
            largest = max(largest, float(abs(wanted - found).max()))
    return {"agreement": same / len(pictures), "difference": largest, "pictures": len(pictures)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--gpu", default="", help="its UUID")
    options = parser.parse_args()
    bodies = [path.read_bytes() for path in sorted(options.pictures.iterdir())]
    opened = open_model(options.folder, options.gpu)
    json.dump({"engine": opened.engine, "precision": opened.precision, **compare(opened, bodies)}, sys.stdout)
