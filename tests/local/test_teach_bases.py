"""A ViT, an ONNX file and a zero-shot model as the base of a taught model: a worker answers as the report says."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scripts.models.tools import TeachTask
from scripts.models.tools.prepare.converters.openvino import convert
from scripts.models.tools.rewrite import rewritten
from scripts.models.tools.teach.teaching import run
from tests import zero_shot_folders
from tests.folders import SIZE, onnx_folder, openvino_folder
from tests.local.worker_harness import running
from worker.contract.engines.openvino import ENGINE
from worker.contract.files import sha256
from worker.models.folder import read_folder
from worker.models.loaders import load_network

COLOURS = {"红_red": (220, 40, 40), "绿_green": (40, 220, 40), "蓝_blue": (40, 40, 220)}
EACH = 6  # images of a class


class Vit(torch.nn.Module):
    """A ViT of transformers, of one layer, which returns its logits alone."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import ViTConfig, ViTForImageClassification

        torch.manual_seed(0)
        config = ViTConfig(
            hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, image_size=SIZE,
            patch_size=8, num_labels=3,
        )  # fmt: skip
        self.network = ViTForImageClassification(config).eval()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(pixel_values=pixels).logits
        return logits


def vit(path: Path) -> Path:
    return openvino_folder(path, network=Vit().eval(), name="vit")


def zero_shot(path: Path) -> Path:
    """Make a CLIP whose image network is converted for OpenVINO, as model-prepare does it, but not measured."""
    folder = read_folder(zero_shot_folders.add_model(zero_shot_folders.clip(path.parent / "source"), path))
    convert(load_network(folder), folder.input, path / "f32.xml")
    digests = dict(folder.files) | {name: sha256(path / name) for name in ("f32.xml", "f32.bin")}
    engine = replace(folder.engine, prepared={str(ENGINE.prepared_name("f32")): "f32.xml"})
    manifest = path / "model.toml"
    manifest.write_text(rewritten(manifest.read_text(encoding="utf-8"), "", digests, engine), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (home / name).mkdir()
        for number in range(EACH):
            noise = rng.normal(0, 20, (4, 4, 3)) + np.array(colour)
            image = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).resize((40, 40))
            image.save(home / name / f"{number}.png")
    return home


@pytest.fixture
def one_cpu() -> Iterator[None]:
    """Let one process look at the images: each imports the same libraries."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("one_cpu")
@pytest.mark.parametrize("base", [vit, onnx_folder, zero_shot])
def test_a_taught_model_answers_as_its_report_says(tmp_path: Path, images: Path, base: Callable[[Path], Path]) -> None:
    folder = base(tmp_path / "base")
    (out := tmp_path / "things").mkdir()
    run(out, TeachTask("things", folder, images, tmp_path / "features"))
    report = json.loads((out / "teaching.json").read_text())
    assert report["cross_validated"]["accuracy"] > 0.8
    with running(out, tmp_path / "log", MODEL="things") as worker:
        for answer in report["answers"]:
            best = worker.predict((images / answer["file"]).read_bytes()).json["predictions"][0]
            assert best["index"] == answer["answered"], answer
            assert best["score"] == pytest.approx(answer["score"], abs=1e-2)
    assert len(report["answers"]) == len(COLOURS) * EACH
