"""model.toml: read_folder and verify_files return, or raise ModelError."""

import contextlib
import shutil
import tomllib
from pathlib import Path

from hypothesis import strategies as st

from scripts.cluster.config import ROOT
from tests.fuzz import Check, toml
from tests.fuzz.mutation import with_other_values as vary
from worker.contract.settings import AUTO
from worker.contract.toml_reader import ModelError
from worker.decode import ROUNDINGS
from worker.models.folder import read_folder, verify_files

__all__ = ["examples", "opened", "vary"]

PHOTOS = ROOT / "worker/photos"
MEASURED = {
    "machine": "here", "engine": "openvino", "precision": "int8", "batch_sizes": [1, 4], "images_per_s": 9.5,
    "agreement": 0.99, "difference": 0.01, "chosen": True,
}  # fmt: skip


def tables() -> list[toml.Table]:
    """Return the embedded model's table, and one that uses nearly every key."""
    photos = tomllib.loads((PHOTOS / "model.toml").read_text(encoding="utf-8"))
    scaling = {"machine": "here", "cores": 2, "images_per_s": 20.0, "latency_ms": 5.0}
    group = {"name": "attributes", "activation": "sigmoid", "classes": [1, 2, 3], "threshold": 0.5}
    full = photos | {
        "input": photos["input"] | {
            "channels": 3, "range": [0, 255], "background": [255, 255, 255], "max_pixels": 9_000_000,
            "rounding": ROUNDINGS[0],
            "tiles": {"size": [512, 512], "stride": 256, "merge": "mean"},
        },
        "output": photos["output"] | {"top_k": 5, "threshold": 0.1, "groups": [group]},
        "engine": photos["engine"] | {"wait_ms": 2, "measured": [MEASURED], "scaling": [scaling]},
        "source": "hf:a/b", "architecture": "resnet18", "trust_code": False,
    }  # fmt: skip
    texts = photos | {"loader": "clip", "zero_shot": {"language": "en", "templates": ["a photo of a {}."]}}
    return [photos, full, texts]


def examples() -> st.SearchStrategy[bytes]:
    return toml.files(tables())


def opened(folder: Path) -> Check:
    home = folder / "photos"
    if not home.exists():
        shutil.copytree(PHOTOS, home)

    def check(data: bytes) -> None:
        (home / "model.toml").write_bytes(data)
        with contextlib.suppress(ModelError):
            found = read_folder(home)
            found.engine.choose("here", AUTO)
            verify_files(found)

    return check
