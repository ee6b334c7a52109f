"""`make model-fetch` from a hub on this machine to a model folder that verifies where there is no network."""

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest
import torch

from scripts.cluster.config import ROOT
from scripts.models.tools.fetch import PARTIAL
from tests import fake_hubs, in_process, no_network
from tests.fake_hubs import COMMIT, Hub
from tests.folders import LABELS, RED, SIZE, image, onnx_folder
from tests.service import bare_environment
from tests.wait import until
from worker.models import torchvision_ops
from worker.models.folder import read_folder

TIMM = "test_vit"


@dataclass(frozen=True)
class Shop:
    """A hub with a model of every kind, and a library that is empty at first."""

    hub: Hub
    path: Path

    @property
    def models(self) -> Path:
        return self.path / "models"

    @property
    def environ(self) -> dict[str, str]:
        return bare_environment() | self.hub.environ(self.path / "home")

    def command(self, *arguments: str) -> list[str]:
        return ["make", "--no-print-directory", arguments[0], f"MODELS={self.models}", "PREPARE=0", *arguments[1:]]

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a target in this process, all but the part that fetches."""
        return in_process.make(*self.command(*arguments)[2:], environ=self.environ)

    def fetched(self, *arguments: str) -> None:
        done = self.make("model-fetch", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    def refused(self, *arguments: str) -> list[str]:
        done = self.make("model-fetch", *arguments)
        assert done.returncode != 0, done.stdout
        return [line.removeprefix("!! ") for line in done.stderr.splitlines() if line.startswith("!! ")]

    def parts(self) -> list[Path]:
        """The files that are not all there."""
        return [path for path in self.models.glob(".fetch/*/files/*") if path.suffix in PARTIAL]

    def held(self) -> set[str]:
        """What the library holds, hidden things too."""
        return {path.name for path in self.models.iterdir()} - {".verified.json"} if self.models.is_dir() else set()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    path = tmp_path_factory.mktemp("shop")
    (path / "home").mkdir()
    vit, own = transformers_repository(path / "vit"), timm_repository(path / "timm")
    with fake_hubs.running() as hub:
        hub.repositories["org/Tiny-ViT"] = vit
        hub.repositories[f"timm/{TIMM}.r160_in1k"] = own
        network = onnx.load(onnx_folder(path / "onnx") / "m.onnx")
        hub.files["/downloads/small.onnx"] = network.SerializeToString()
        for language, lines in LABELS.items():
            (path / f"{language}.txt").write_text("\n".join(lines) + "\n")
        image(RED).save(path / "red.png")
        yield Shop(hub, path)


def transformers_repository(path: Path) -> Path:
    torchvision_ops.make_importable()
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(0)
    names = dict(enumerate(LABELS["en"]))
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=SIZE, patch_size=8,
        id2label=names, label2id={label: index for index, label in names.items()},
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(path)
    ViTImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(path)
    for other in ("tf_model.h5", "pytorch_model.bin", "README.md"):
        (path / other).write_bytes(b"not needed")
    return path


def timm_repository(path: Path) -> Path:
    torchvision_ops.make_importable()
    import timm
    from timm.models import save_for_hf

    torch.manual_seed(0)
    network = timm.create_model(TIMM, num_classes=3).eval()
    save_for_hf(network, path, model_config={"label_names": LABELS["en"]}, safe_serialization=True)
    return path


FILES = {
    "hf": {"config.json", "model.safetensors", "preprocessor_config.json"},
    "ms": {"config.json", "model.safetensors", "preprocessor_config.json"},
    "timm": {"config.json", "model.safetensors"},
    "address": {"small.onnx"},
}


@pytest.fixture(scope="module")
def stocked(shop: Shop) -> Shop:
    """The library with a model from every kind of source, each with another of the options; the first by make."""
    words = shop.command("model-fetch", "SOURCE=hf:org/Tiny-ViT", f"LABELS=zh:{shop.path}/zh.txt", "REVISION=main")
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=shop.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    shop.fetched("SOURCE=ms:org/Tiny-ViT", "NAME=ms", f"GOLDEN={shop.path}/red.png", "REVISION=v1")
    shop.fetched(f"SOURCE=timm:{TIMM}", "NAME=timm")
    address = f"{shop.hub.address}/downloads/small.onnx"
    shop.fetched(f"SOURCE={address}", f"LABELS=en:{shop.path}/en.txt", "LOADER=onnx")
    return shop


@pytest.mark.parametrize(
    ("name", "kind", "source", "loader"),
    [
        ("tiny-vit", "hf", f"hf:org/Tiny-ViT@{COMMIT}", "transformers"),
        ("ms", "ms", f"ms:org/Tiny-ViT@{COMMIT}", "transformers"),
        ("timm", "timm", f"hf:timm/{TIMM}.r160_in1k@{COMMIT}", "timm"),
        ("small", "address", "{hub}/downloads/small.onnx", "onnx"),
    ],
)
def test_a_fetched_model_says_where_it_is_from_and_holds_what_serving_needs(
    stocked: Shop, name: str, kind: str, source: str, loader: str
) -> None:
    folder = read_folder(stocked.models / name)
    recorded = source.format(hub=stocked.hub.address)
    assert f'source = "{recorded}"\n' in (folder.path / "model.toml").read_text()
    assert (folder.name, folder.loader) == (name, loader)
    own = {path for path in folder.files if not path.startswith(("labels.", "golden/", "prepared/"))}
    assert own == FILES[kind]


def test_nothing_but_models_is_left_in_the_library_or_at_home(stocked: Shop) -> None:
    assert stocked.held() == {"tiny-vit", "ms", "timm", "small"}
    assert list((stocked.path / "home").iterdir()) == []


def test_options_work_as_with_files_at_hand(stocked: Shop) -> None:
    assert read_folder(stocked.models / "tiny-vit").output.labels.names.keys() == {"en", "zh"}
    assert read_folder(stocked.models / "ms").golden[0].image.name == "red.png"
    assert stocked.refused("SOURCE=hf:org/Tiny-ViT") == [
        f"{stocked.models}/tiny-vit: exists already: choose another NAME=, or set FORCE=1 to replace it"
    ]


@pytest.mark.skipif(not no_network.possible(), reason="this account may not make namespaces")
def test_fetched_models_verify_without_a_network_and_ask_dns_for_nothing(stocked: Shop, tmp_path: Path) -> None:
    environ = stocked.environ | {"PYTHONPATH": str(ROOT)}
    control = no_network.run(tmp_path, ["getent", "hosts", "huggingface.co"], environ)
    assert "huggingface.co" in control.stdout.splitlines()[-1].split()
    done = no_network.run(tmp_path, stocked.command("model-verify"), environ)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-2:] == ["verified: ms, small, timm, tiny-vit, photos", "DNS lookups:"]


def test_a_model_that_cannot_be_made_leaves_its_download_for_the_next_attempt(stocked: Shop) -> None:
    before, manifest = stocked.held(), stocked.models / "small/model.toml"
    written = manifest.stat().st_mtime_ns
    source = f"SOURCE={stocked.hub.address}/downloads/small.onnx"
    why, kept = stocked.refused(source, "NAME=small", "FORCE=1")
    (folder,) = (stocked.models / ".fetch").iterdir()
    assert (
        why
        == f"{folder}/files/small.onnx: found no labels: set LABELS=zh:FILE,en:FILE or one of them, one label a line"
    )
    assert kept.endswith(f" MB in {folder}: run the same command again to resume, or `rm -r {folder}` to discard it")
    assert stocked.held() == before | {".fetch"}
    assert manifest.stat().st_mtime_ns == written
    stocked.hub.reset()
    stocked.fetched(source, "NAME=small", f"LABELS=en:{stocked.path}/en.txt", "FORCE=1")
    assert stocked.held() == before
    assert manifest.stat().st_mtime_ns > written


@pytest.mark.parametrize(
    ("kind", "signum"),
    [("hf", signal.SIGTERM), ("ms", signal.SIGKILL)],
)
def test_a_fetch_that_is_ended_goes_on_where_it_was(shop: Shop, kind: str, signum: signal.Signals) -> None:
    before, half = shop.held(), 30_000
    shop.hub.reset()
    shop.hub.stalled["model.safetensors"] = half
    arguments = (f"SOURCE={kind}:org/Tiny-ViT", f"NAME={kind}-{signum.name.lower()}")
    options = {"cwd": ROOT, "env": shop.environ, "start_new_session": True, "text": True}
    with subprocess.Popen(shop.command("model-fetch", *arguments), stdout=subprocess.PIPE, **options) as process:  # type: ignore[call-overload]
        until("a part of the file is on the disk", lambda: sum(part.stat().st_size for part in shop.parts()))
        os.killpg(process.pid, signum)
        process.communicate()
    assert process.returncode != 0
    assert shop.held() == before | {".fetch"}
    shop.hub.reset()
    (kept,) = [part.stat().st_size for part in shop.parts()]
    assert 0 < kept <= half
    shop.fetched(*arguments)
    assert {one.range for one in shop.hub.requests if one.range} == {f"bytes={kept}-"}
    assert shop.held() == before | {arguments[1].removeprefix("NAME=")}
