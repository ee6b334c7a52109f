"""Networks as exporters write them: `make model-add` prepares each, and a real worker answers as its library does."""

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

CLOSE, CLOSE_INT8 = 0.01, 0.08  # of a score
# The library, its file, the key of its answers, and how the model is prepared.
MODELS = {
    "prepared": ("tensorflow", "nhwc.onnx", "quick"),
    "tflite": ("tensorflow", "uint8.tflite", "0"),
    "saved-model": ("tensorflow", "saved_model", "0"),
    "paddle": ("paddle", "pir", "0"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_worker_answers_as_the_library_that_wrote_the_network(name: str, tmp_path: Path) -> None:
    library, file, prepare = MODELS[name]
    files = exported_files(tmp_path / "files", library)
    (tmp_path / "en.txt").write_text("cat\ndog\ntea\n")
    done = in_process.make(
        "model-add", f"NAME={name}", f"SOURCE={files / file}", f"LABELS=en:{tmp_path}/en.txt",
        f"MODELS={tmp_path}/models", f"PREPARE={prepare}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "models" / name
    kinds = {(row.engine, row.precision) for row in read_folder(folder).engine.measured}
    served = {(engine, precision) for engine in ("openvino", "onnxruntime") for precision in ("f32", "int8")}
    assert served <= kinds if prepare == "quick" else not kinds
    resize = read_folder(folder).input.geometry.resize
    assert isinstance(resize, int)
    before = (resize - SIZE) // 2
    margin = (before, resize - SIZE - before)
    close = CLOSE_INT8 if kinds else CLOSE  # int8 may be the fastest that agrees
    expected, pixels = np.load(files / ANSWERS)[file], np.load(files / PIXELS)
    with running(folder, tmp_path / "log", MODEL=name, ENGINE="openvino") as worker:
        for scores, image in zip(expected, pixels, strict=True):
            # Exactly as large as the image is scaled to, so that only the margin is cut off.
            padded = np.pad(image, (margin, margin, (0, 0)))
            reply = worker.predict(encoded(Image.fromarray(padded), "PNG"), "?top_k=3")
            assert reply.status == 200, reply.body
            found = {row["index"]: row["score"] for row in reply.json["predictions"]}
            assert [found[index] for index in range(3)] == pytest.approx(scores.tolist(), abs=close)
