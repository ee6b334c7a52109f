"""Networks as exporters write them: `make model-add` takes each, and a real worker answers as its library does."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import in_process
from tests.exporters import ANSWERS, PIXELS, exported_files
from tests.folders import SIZE
from tests.images import encoded
from tests.local.worker_harness import running
from worker.models.folder import read_folder

CLOSE = 0.01  # of a score
# The library, and its file, which is the key of its answers.
MODELS = {
    "onnx": ("tensorflow", "nhwc.onnx"),
    "tflite": ("tensorflow", "uint8.tflite"),
    "saved-model": ("tensorflow", "saved_model"),
    "paddle": ("paddle", "pir"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_worker_answers_as_the_library_that_wrote_the_network(name: str, tmp_path: Path) -> None:
    library, file = MODELS[name]
    files = exported_files(tmp_path / "files", library)
    (tmp_path / "en.txt").write_text("cat\ndog\ntea\n")
    done = in_process.make(
        "model-add", f"NAME={name}", f"SOURCE={files / file}", f"LABELS=en:{tmp_path}/en.txt",
        f"MODELS={tmp_path}/models", "PREPARE=0",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "models" / name
    resize = read_folder(folder).input.geometry.resize
    assert isinstance(resize, int)
    before = (resize - SIZE) // 2
    margin = (before, resize - SIZE - before)
    expected, pixels = np.load(files / ANSWERS)[file], np.load(files / PIXELS)
    with running(folder, tmp_path / "log", MODEL=name, ENGINE="openvino") as worker:
        for scores, image in zip(expected, pixels, strict=True):
            # Exactly as large as the image is scaled to, so that only the margin is cut off.
            padded = np.pad(image, (margin, margin, (0, 0)))
            reply = worker.predict(encoded(Image.fromarray(padded), "PNG"), "?top_k=3")
            assert reply.status == 200, reply.body
            found = {row["index"]: row["score"] for row in reply.json["predictions"]}
            assert [found[index] for index in range(3)] == pytest.approx(scores.tolist(), abs=CLOSE)
