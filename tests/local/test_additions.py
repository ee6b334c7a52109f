"""An engine, a loader and a label language added as their READMEs say: files of their own in a copy of the kit.

The engine multiplies the mean colour of an image by a matrix; the loader reads such a matrix from a .table file.
"""

import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT
from tests.folders import BLUE, RED, image
from tests.local.worker_harness import running
from worker.contract.settings import offline_variables

ADDED = {
    "worker/contract/engines/arithmetic.py": """
from worker.contract.declarations import EngineDeclaration, WorkerImage

ENGINE = EngineDeclaration(
    name="arithmetic", reads=("table",), cpu=("f32",), memory_mb=40,
    image=WorkerImage("arithmetic", ("base", "arithmetic")),
)
""",
    "worker/engines/arithmetic.py": """
import numpy as np

class Arithmetic:
    def __init__(self, matrix):
        self._matrix = matrix

    def infer(self, images):
        return np.stack([image.mean(axis=(0, 1)) / 255 for image in images]).astype(np.float32) @ self._matrix

def open_network(task):
    return Arithmetic(np.loadtxt(task.network, dtype=np.float32))
""",
    "worker/contract/loaders/table.py": """
from worker.contract.declarations import LoaderDeclaration

LOADER = LoaderDeclaration(name="table", precedence=95, format="table", suffixes=(".table",))
""",
    "worker/models/loaders/table.py": """
from worker.decode import Geometry
from worker.models.loaders import Description

def describe(path, architecture):
    return Description(
        loader="table", architecture="", weights=path.name, files={path.name: path},
        geometry=Geometry((8, 8), None, "bilinear"), mean=(0.0,) * 3, std=(1.0,) * 3, labels={}, activation="softmax",
    )

def is_quantised(path):
    return False
""",
}
CONTROL = """
import json
from pathlib import Path
from scripts.cluster.config import load_cluster
from scripts.cluster.models import read_models
from scripts.host import environments, images
from scripts.bundle import sbom
from scripts.runtimes.preflight import memory_limit
cluster = load_cluster(Path("cluster.toml"))
model = read_models(cluster)["colours"]
environment = environments.serving(model.needs)
image = images.worker_image(model.needs, gpu=False)
print(json.dumps([
    cluster.engine, model.engine, model.bytes, image.repository, environment.folder.name,
    [lock.name for lock in environment.locks], [lock.name for lock in sbom.LOCKS["arithmetic"]],
    memory_limit(model, cluster.settings),
]))
"""


@dataclass(frozen=True)
class Kit:
    """A copy of the code with what was added, and a model folder that its own tool made."""

    root: Path
    model: Path
    said: str

    def run(self, *command: str, options: object = None) -> str:
        """Run `command` in the copy, its standard input the JSON of `options`; return what it prints."""
        environ, text = os.environ | offline_variables(), json.dumps(options)
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, env=environ, input=text)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """The copy; model-add finds the loader out, and labels are in a language that no table lists, and in two more."""
    home = tmp_path_factory.mktemp("additions")
    root = home / "kit"
    for part in ("worker", "scripts"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", "model.bin"))
    for name, text in ADDED.items():
        assert not (root / name).exists()
        (root / name).write_text(text, encoding="utf-8")
    (home / "colours.table").write_text("9 0 0\n0 9 0\n0 0 9\n")
    languages = {"en": "red\ngreen\nblue\n", "ja": "赤\n緑\n青\n", "pt-BR": "vermelho\nverde\nazul\n"}
    for language, text in languages.items():
        (home / f"{language}.txt").write_text(text, encoding="utf-8")
    image(RED).save(home / "red.png")
    made = Kit(root, home / "colours", "")
    made.model.mkdir()
    options = {
        "source": str(home / "colours.table"),
        "name": "colours",
        "golden": str(home / "red.png"),
        "labels": ",".join(f"{language}:{home / language}.txt" for language in languages),
    }
    said = made.run(sys.executable, "-m", "scripts.models.tools.add", str(made.model), options=options)
    return Kit(root, made.model, said)


def test_the_loader_is_found_out_and_its_engine_is_the_folders(kit: Kit) -> None:
    assert "loader table (detected; LOADER= overrides it)" in kit.said
    written = (kit.model / "model.toml").read_text(encoding="utf-8")
    assert 'loader = "table"\n' in written
    assert '[engine]\nname = "arithmetic"\nprecision = "f32"\n' in written
    assert '[output.labels]\nen = "labels.en.txt"\nja = "labels.ja.txt"\npt-BR = "labels.pt-BR.txt"\n' in written


def test_the_folder_passes_every_check_that_a_worker_makes(kit: Kit) -> None:
    lines = kit.run(sys.executable, "-m", "scripts.models.tools.verify", str(kit.model)).splitlines()
    checks = [json.loads(line) for line in lines]
    assert all(check["ok"] for check in checks)
    assert checks[3]["found"] == "engine arithmetic in f32"


def test_a_worker_answers_by_the_engine_in_every_language(kit: Kit, tmp_path: Path) -> None:
    stream = io.BytesIO()
    image(BLUE).save(stream, "PNG")
    with running(kit.model, tmp_path / "log", root=kit.root, MODEL="colours", ENGINE="arithmetic") as worker:
        state = worker.state() or {}
        assert (state["engine"], state["model_info"]["languages"]) == ("arithmetic", ["en", "ja", "pt-BR"])
        best = worker.predict(stream.getvalue()).json["predictions"][0]
        assert (best["label"], best["label_en"], best["label_zh"]) == ("blue", "blue", None)
        assert (best["label_ja"], best["label_pt-BR"], best["index"]) == ("青", "azul", 2)
        assert worker.predict(stream.getvalue(), "?labels=pt-BR").json["predictions"][0]["label"] == "azul"


def test_the_control_side_reads_the_declaration_by_a_bare_interpreter(kit: Kit) -> None:
    (kit.root / "cluster.toml").write_text(
        f'engine = "arithmetic"\n[[models]]\nname = "colours"\nfolder = "{kit.model}"\n[[servers]]\nname = "this"\n'
    )
    found = json.loads(kit.run(sys.executable, "-S", "-c", CONTROL))
    weighs = sum(file.stat().st_size for file in kit.model.rglob("*") if file.is_file())
    assert found == [
        "arithmetic", "arithmetic", weighs, "wanwu-worker-arithmetic", "serve-arithmetic",
        ["base.txt", "local.txt", "arithmetic.txt"], ["base.txt", "arithmetic.txt"],
        2 * (40_000_000 + 2 * weighs) + 780_435_456,
    ]  # fmt: skip


def test_model_prepare_measures_the_engine(kit: Kit, tmp_path: Path) -> None:
    folder = tmp_path / "prepared"
    shutil.copytree(kit.model, folder)
    options = {"display_path": str(folder), "quick": True}
    said = kit.run(sys.executable, "-m", "scripts.models.tools.prepare", str(folder), options=options)
    assert "answers are compared with arithmetic f32: " in said
    assert ": arithmetic f32\n" in said
    assert 'engine = "arithmetic"\n' in (folder / "model.toml").read_text(encoding="utf-8")
