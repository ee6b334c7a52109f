"""with_tritonclient.py URL IMAGE: print the best label and its score."""

import sys
from pathlib import Path

import numpy as np
import tritonclient.http as triton

url, path = sys.argv[1:]
with triton.InferenceServerClient(url.removeprefix("http://")) as client:
    model = client.get_model_repository_index()[0]["name"]
    image = triton.InferInput("image", [1], "BYTES")
    image.set_data_from_numpy(np.array([Path(path).read_bytes()], dtype=object))
    best = triton.InferRequestedOutput("scores", class_count=1)
    score, _, label = client.infer(model, [image], outputs=[best]).as_numpy("scores")[0][0].decode().split(":", 2)
print(f"{label}\t{float(score):.3f}")
