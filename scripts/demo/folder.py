"""The model folder's files: labels, golden pictures, accuracy.json, README.md and model.toml."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.demo.classes import read_things
from scripts.demo.decode import INTERPOLATION, MEAN, RESIZE, SIZE, STD

NAME = "demo"
VERSION = "1"
WEIGHTS = "model.xml"
MANIFEST = "model.toml"
BATCH_SIZES = (1, 4)
LARGEST = 3_000_000  # bytes, the whole folder

README = """# The demo model

It knows {classes} everyday things, in English and Chinese, **as drawings, not as photos**: it was trained on
colour emoji glyphs only, so its answer to a photo means nothing. For photos, add a photo model.

Accuracy: {accuracy:.2%} top-1 of {pictures} held-out pictures, answered by OpenVINO in {precision} through the decode
of serving. `accuracy.json` keeps the figures; `int8_agreement` there is the share of these pictures on which
int8 and f32 give the same answer.

Train it again, in about half an hour on two cores:

    apt-get install fonts-noto-color-emoji
    python3 -m scripts.demo.train [--seed {seed}] [--out worker/demo]

It needs torch, openvino, nncf, pillow, numpy and emoji. The pictures, their order and the first weights
follow from the seed; the same seed, versions and kind of CPU give the same model.

Sources: the glyphs come from the Noto Color Emoji font (SIL Open Font License 1.1), of which `golden/` shows
some; most names come from the `emoji` package (BSD licence); the weights were trained from nothing.
"""


@dataclass(frozen=True)
class Golden:
    """A picture with the answer that serving must give."""

    name: str
    index: int
    score: float
    jpeg: bytes

    @property
    def path(self) -> str:
        return f"golden/{self.name.replace(' ', '-')}.jpg"


def write(folder: Path, figures: dict[str, Any], goldens: list[Golden]) -> None:
    """All files beside the weights, model.toml last; `ValueError` if the folder gets too large."""
    things = read_things()
    (folder / "golden").mkdir()
    for one in goldens:
        (folder / one.path).write_bytes(one.jpeg)
    _write(folder / "labels.en.txt", "".join(f"{thing.english}\n" for thing in things))
    _write(folder / "labels.zh.txt", "".join(f"{thing.chinese}\n" for thing in things))
    _write(folder / "accuracy.json", json.dumps(figures, indent=2) + "\n")
    _write(folder / "README.md", README.format(**figures))
    _write(folder / MANIFEST, model_toml(hashes(folder), figures["precision"], goldens))
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if total > LARGEST:
        raise ValueError(f"the model folder holds {total} bytes, at most {LARGEST} are allowed")


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of every file but model.toml, by path relative to the folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MANIFEST
    }


def model_toml(files: dict[str, str], precision: str, goldens: list[Golden]) -> str:
    lines = [
        f'name = "{NAME}"',
        f'version = "{VERSION}"',
        f'description = "{len(read_things())} everyday things as colour drawings, not photos"',
        'loader = "openvino"',
        f'weights = "{WEIGHTS}"',
        "",
        "[files]",
        *(f'"{path}" = "{digest}"' for path, digest in files.items()),
        "",
        "[input]",
        f"size = [{SIZE}, {SIZE}]",
        f"resize = {RESIZE}",
        f'interpolation = "{INTERPOLATION}"',
        f"mean = {list(MEAN)}",
        f"std = {list(STD)}",
        "",
        "[output]",
        'activation = "softmax"',
        "[output.labels]",
        'en = "labels.en.txt"',
        'zh = "labels.zh.txt"',
    ]
    for one in goldens:
        lines += ["", "[[golden]]", f'image = "{one.path}"', f"index = {one.index}"]
        lines += [f'label = "{one.name}"', f"score = {one.score:.3f}"]
    lines += ["", "[engine]", 'name = "openvino"', f'precision = "{precision}"']
    lines += [f"batch_sizes = {list(BATCH_SIZES)}"]
    return "\n".join(lines) + "\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
