"""`make model-add`, `model-verify` and `models` on small real models, and an added one through the whole service."""

import itertools
import json
import os
import re
import shlex
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import torch
from PIL import Image

from scripts.base.lock import exclusive
from scripts.cluster.config import ROOT
from scripts.commands import ServiceOptions
from tests import in_process
from tests.commands.services import ONE_WORKER, PATIENT
from tests.efficientnet import efficientnet_pytorch_state, network_of
from tests.folders import RED, SIZE, image
from tests.service import Service, bare_environment, create, table
from worker.contract.loaders import LOADERS
from worker.models import torchvision_ops
from worker.models.folder import read_folder

LABELS = {"en": ("cat", "dog", "tea"), "zh": ("猫", "狗", "茶")}
CLOSE = 1e-4  # of a score in f32


@dataclass(frozen=True)
class ModelWorkspace:
    """Models at hand, as their libraries save them, and a service whose library is empty at first."""

    path: Path
    service: Service

    @property
    def models(self) -> Path:
        return self.path / "models"

    def make(self, target: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a target in this process. Nothing is prepared: that has tests of its own, and takes a minute a model."""
        place = (f"CLUSTER={self.service.cluster}", f"RUN_DIR={self.service.run_dir}")
        return in_process.make(target, f"MODELS={self.models}", "PREPARE=0", *place, *arguments)

    def refused(self, *arguments: str, target: str = "model-add") -> list[str]:
        """The lines with which `make` refuses; the library must be as it was."""
        before = self.held()
        done = self.make(target, *arguments)
        assert done.returncode != 0, done.stdout
        assert self.held() == before
        return [line.removeprefix("!! ") for line in done.stderr.splitlines() if line.startswith("!! ")]

    def held(self) -> set[str]:
        """Everything in the library, hidden things too."""
        return {str(path.relative_to(self.models)) for path in self.models.rglob("*")} - {".verified.json"}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> ModelWorkspace:
    """A transformers folder, state dicts of torchvision and efficientnet_pytorch, and label files."""
    torchvision_ops.make_importable()
    from torchvision.models import get_model
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    path = tmp_path_factory.mktemp("shelf")
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=SIZE, patch_size=8,
        id2label=dict(enumerate(LABELS["en"])), label2id={label: index for index, label in enumerate(LABELS["en"])},
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(path / "vit")
    ViTImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(path / "vit")
    torch.save(get_model("mobilenet_v3_small", weights=None, num_classes=3).state_dict(), path / "weights.pth")
    torch.save(efficientnet_pytorch_state(network_of("b0", classes=3)), path / "efficientnet-b0-ours.pth")
    for language, lines in LABELS.items():
        (path / f"{language}.txt").write_text("\n".join(lines) + "\n")
        image(RED, (SIZE, SIZE)).save(path / "red.png")
    return ModelWorkspace(path, create(path / "service", table("pets", path / "models/pets"), PATIENT + ONE_WORKER))


@pytest.fixture(scope="module")
def added(shelf: ModelWorkspace) -> str:
    """Three models added by the reference's commands, after one attempt was killed outright; what was last printed."""
    end_amid_adding(shelf, signal.SIGKILL)
    assert shelf.held() >= {".next.new"}
    *others, last = documented_commands(shelf)
    for words in others:
        _succeed(shelf.make(*words))
    printed = add_beside_a_change(shelf, last)
    assert {name for name in shelf.held() if "/" not in name} == {"resnet", "ours", "pets"}
    return printed


def add_beside_a_change(shelf: ModelWorkspace, words: list[str]) -> str:
    """Run `make` with `words` while another command changes the service, for which it waits; what it printed."""
    place = [f"MODELS={shelf.models}", f"CLUSTER={shelf.service.cluster}", f"RUN_DIR={shelf.service.run_dir}"]
    command = ["make", "--no-print-directory", *words, "PREPARE=0", *place]
    options = {"cwd": ROOT, "env": bare_environment(), "text": True}
    before, waits = shelf.held(), "-- waiting for make rollout (process "
    with exclusive(ServiceOptions(run_dir=shelf.service.run_dir).lock, "rollout"):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)  # type: ignore[call-overload]
        said = list(itertools.takewhile(lambda line: not line.startswith(waits), process.stdout))
        assert {name.partition("/")[0] for name in shelf.held() - before} == {".pets.new"}
    rest, _ = process.communicate()
    assert process.returncode == 0, rest
    return "".join([*said, rest])


def documented_commands(shelf: ModelWorkspace) -> list[list[str]]:
    """The words after `make` of the reference's examples, on files like those that they name."""
    reference = (ROOT / "compose/reference/models.md").read_text(encoding="utf-8")
    block = re.search(r"^```text\n(make model-add .*?)^```$", reference, re.MULTILINE | re.DOTALL)
    # Published weights are none of ours to have: their stand-in has another name, and so more must be told.
    stand_ins = {
        "SOURCE=/media/usb/resnet18-f37072fd.pth": [
            f"SOURCE={shelf.path}/weights.pth", "LOADER=torchvision", "ARCHITECTURE=mobilenet_v3_small",
            f"LABELS=en:{shelf.path}/en.txt",
        ],
        "SOURCE=/media/usb/efficientnet-b0-ours.pth": [f"SOURCE={shelf.path}/efficientnet-b0-ours.pth"],
        "LABELS=en:/media/usb/ours.txt": [f"LABELS=en:{shelf.path}/en.txt"],
        "SOURCE=/media/usb/pets-vit": [f"SOURCE={shelf.path}/vit"],
        "LABELS=zh:/media/usb/pets.zh.txt": [f"LABELS=zh:{shelf.path}/zh.txt"],
        "GOLDEN=/media/usb/cat.jpg": [f"GOLDEN={shelf.path}/red.png"],
    }  # fmt: skip
    assert block
    lines = [shlex.split(line)[1:] for line in block[1].splitlines()]
    return [[part for word in words for part in stand_ins.get(word, [word])] for words in lines]


def _succeed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def end_amid_adding(shelf: ModelWorkspace, signum: signal.Signals) -> int:
    """Start `make model-add` in a process group of its own, send it `signum` while it works; its exit status."""
    command = [
        "make", "--no-print-directory", "model-add", "NAME=next", f"SOURCE={shelf.path}/vit",
        f"MODELS={shelf.models}", f"CLUSTER={shelf.service.cluster}", f"RUN_DIR={shelf.service.run_dir}",
    ]  # fmt: skip
    options = {"cwd": ROOT, "env": bare_environment(), "start_new_session": True, "text": True}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options) as process:  # type: ignore[call-overload]
        assert any(line.startswith("-- inspecting") for line in process.stdout)  # seconds before it is done
        assert ".next.new" in shelf.held()
        os.killpg(process.pid, signum)
        process.communicate()
    return int(process.returncode)


def by_the_library(folder: Path, image: Path) -> list[float]:
    """The scores that transformers' own few lines give."""
    torchvision_ops.make_importable()
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    processor = AutoImageProcessor.from_pretrained(folder)
    network = AutoModelForImageClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        logits = network(**processor(Image.open(image).convert("RGB"), return_tensors="pt")).logits
    return [float(score) for score in logits.softmax(-1)[0]]


def test_what_was_found_out_is_said_and_written(shelf: ModelWorkspace, added: str) -> None:
    folder = read_folder(shelf.models / "pets")
    (golden,) = folder.golden
    said = added.splitlines()
    assert "   loader transformers (detected; LOADER= overrides it)" in said
    assert (
        f"   input {SIZE} x {SIZE}, the whole image, stretched, bilinear, mean [0.5, 0.5, 0.5], std [0.5, 0.5, 0.5]"
        in said
    )
    shown = f"{LABELS['zh'][golden.index]} {golden.label} ({golden.score:.3f})"
    assert f"   {shown}: recorded as what every later check must reproduce" in said
    assert folder.output.labels.names == LABELS
    assert folder.files.keys() == {
        "config.json", "model.safetensors", "preprocessor_config.json", "golden/red.png",
        "labels.en.txt", "labels.zh.txt",
    }  # fmt: skip
    assert golden.score == pytest.approx(by_the_library(shelf.path / "vit", golden.image)[golden.index], abs=0.01)


def test_an_added_model_is_served_and_answers_as_its_library_does(shelf: ModelWorkspace, added: str) -> None:
    service = shelf.service
    service.up()
    try:
        body = (shelf.path / "red.png").read_bytes()
        answer = requests.post(f"{service.endpoint}/predict?top_k=3", data=body, timeout=60).json()
        rows = shelf.make("models").stdout.splitlines()
    finally:
        service.down()
    wanted = by_the_library(shelf.path / "vit", shelf.path / "red.png")
    scores = {row["index"]: row["score"] for row in answer["predictions"]}
    assert [scores[index] for index in range(3)] == pytest.approx(wanted, abs=CLOSE)
    assert [row["label_zh"] for row in answer["predictions"]] == [LABELS["zh"][index] for index in scores]
    told = f"pets 1 0.1 MB transformers torch f32 not measured {SIZE} x {SIZE} 3 en+zh yes yes"
    assert told.split() in [row.split() for row in rows]


def test_a_flipped_byte_is_found_and_the_model_no_longer_verified(shelf: ModelWorkspace, added: str) -> None:
    good = shelf.make("model-verify", "NAME=pets")
    assert good.returncode == 0
    assert good.stdout.splitlines() == [
        "ok  pets: model.toml: pets version 1, loader transformers",
        "ok  pets: files: 6 files, each with its sha256",
        "ok  pets: preprocessing: as preprocessor_config.json says",
        "ok  pets: loading: engine torch in f32",
        "ok  pets: labels: 3 in zh, en, as many as the network has outputs",
        "ok  pets: golden: 1 answered as recorded",
        "verified: pets",
    ]
    weights = shelf.models / "pets/model.safetensors"
    held = weights.read_bytes()
    weights.write_bytes(held[:-1] + bytes([held[-1] ^ 1]))
    try:
        bad = shelf.make("model-verify", "NAME=pets", "JSON=1")
        rows = shelf.make("models").stdout.splitlines()
    finally:
        weights.write_bytes(held)
    (report,) = json.loads(bad.stdout)
    assert bad.returncode != 0
    assert "!! failed: pets: see above: do not serve them until they are verified" in bad.stderr.splitlines()
    assert (report["name"], report["folder"], report["ok"]) == ("pets", str(shelf.models / "pets"), False)
    assert [(check["check"], check["ok"]) for check in report["checks"]] == [("model.toml", True), ("files", False)]
    assert re.fullmatch(
        rf"{weights}: sha256 is \w{{64}}, model.toml says \w{{64}}; copy the file again", report["checks"][-1]["found"]
    )
    assert [row.split()[-2:] for row in rows if row.startswith("pets ")] == [["yes", "no"]]


def test_a_name_that_is_taken_is_refused_unless_forced(shelf: ModelWorkspace, added: str) -> None:
    arguments = (f"SOURCE={shelf.path}/vit", "NAME=pets", f"LABELS=zh:{shelf.path}/zh.txt")
    assert shelf.refused(*arguments) == [
        f"{shelf.models}/pets: exists already: choose another NAME=, or set FORCE=1 to replace it"
    ]
    before = shelf.held()
    _succeed(shelf.make("model-add", *arguments, "FORCE=1"))
    assert shelf.held() == before - {"pets/golden/red.png"} | {"pets/golden/cat.jpg"}


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGHUP])
def test_an_add_that_is_interrupted_leaves_nothing(shelf: ModelWorkspace, added: str, signum: signal.Signals) -> None:
    before = shelf.held()
    assert end_amid_adding(shelf, signum) != 0
    assert shelf.held() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["SOURCE=/no/such/model"], ["SOURCE: /no/such/model: no such file or folder"]),
        (["SOURCE={path}/vit", "LOADER=magic"], ["{path}/vit: no loader 'magic'; needed one of {loaders}"]),
    ],
)
def test_what_cannot_be_added_is_refused_and_nothing_is_left(
    shelf: ModelWorkspace, added: str, arguments: list[str], said: list[str]
) -> None:
    loaders = ", ".join(LOADERS)
    wanted = [line.format(path=shelf.path, loaders=loaders) for line in said]
    assert shelf.refused("NAME=other", *(argument.format(path=shelf.path) for argument in arguments)) == wanted
