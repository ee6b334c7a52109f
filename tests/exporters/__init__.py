"""Networks in the formats of TensorFlow, Keras and PaddlePaddle, each written by its own library.

Those libraries take 2.4 GB, so that what they wrote is kept in `tensorflow.zip` and `paddle.zip`. README.md tells how
to write it again; `provenance.json` in each archive names the versions that wrote it.
"""

import hashlib
import re
import zipfile
from pathlib import Path

from scripts.host.environments import EXPORTERS

HERE = Path(__file__).parent
PIXELS, ANSWERS, PROVENANCE = "pixels.npy", "answers.npz", "provenance.json"
# Archive -> the packages that write it.
LIBRARIES = {"tensorflow": ("tensorflow-cpu", "keras", "tf2onnx"), "paddle": ("paddlepaddle",)}
SIDE = 32  # pixels


def exported_files(path: Path, library: str) -> Path:
    """Unpack the networks that `library`, tensorflow or paddle, wrote for images of SIDE x SIDE pixels into `path`.

    PIXELS are uint8 [4, SIDE, SIDE, 3]; ANSWERS has the library's own scores [4, 3] for them, by file.
    """
    with zipfile.ZipFile(archive(library)) as file:
        file.extractall(path)
    return path


def archive(library: str) -> Path:
    return HERE / f"{library}.zip"


def script(library: str) -> Path:
    return HERE / f"write_{library}.py"


def provenance(library: str) -> dict[str, str]:
    """Return what the files of `library` depend on: the locked versions of its writers, and the script's sha256."""
    lock = "".join(lock.read_text() for lock in EXPORTERS.locks)
    locked = dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", lock, re.MULTILINE))
    return {name: locked[name] for name in LIBRARIES[library]} | {
        "side": str(SIDE), "script": hashlib.sha256(script(library).read_bytes()).hexdigest(),
    }  # fmt: skip
