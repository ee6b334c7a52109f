"""torchvision's and timm's pretrained weights: fetched from the address in their metadata, made a model folder."""

import hashlib
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scripts.models.options import AddModelOptions, FetchModelOptions
from scripts.models.tools import add, fetch
from scripts.models.tools.fetch import plan_for
from scripts.models.tools.sources import FetchError
from tests import fake_hubs
from tests.fake_hubs import Hub
from worker.models import torchvision_ops
from worker.models.folder import read_folder, verify_files

torchvision_ops.make_importable()

import timm  # noqa: E402
from timm.models import _registry  # noqa: E402
from torchvision import models  # noqa: E402

ARCHITECTURE, TIMM = "mobilenet_v3_small", "test_resnet.r160_in1k"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with fake_hubs.running() as hub:
        for name, value in hub.environ(tmp_path).items():
            monkeypatch.setenv(name, value)
        yield hub


def save(network: torch.nn.Module, path: Path) -> tuple[str, bytes]:
    """Save a state dict; return a name with its hash, as both libraries use, and the file's content."""
    torch.save(network.state_dict(), path)
    data = path.read_bytes()
    return f"random-{hashlib.sha256(data).hexdigest()[:8]}.pth", data


def fetch_and_add(folder: Path, source: str) -> Path:
    """Fetch `source`, make a model folder from it, and return the folder."""
    out = folder / "out"
    out.mkdir()
    assert fetch.main(folder / "into", FetchModelOptions(source=source)) == 0
    report = json.loads((folder / "into" / fetch.REPORT).read_text())
    options = AddModelOptions(
        name="made",
        source=report["path"],
        loader=report["loader"],
        architecture=report["architecture"],
        origin=report["source"],
    )
    assert add.main(out, options) == 0
    return out


def test_weights_of_torchvision_become_a_model(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use random weights instead of published ones, under an address that torchvision is made to know."""
    torch.manual_seed(0)
    name, data = save(models.get_model(ARCHITECTURE, weights=None), tmp_path / "weights")
    published = models.get_model_weights(ARCHITECTURE).DEFAULT
    monkeypatch.setattr(published.value, "url", f"https://download.pytorch.org/models/{name}")
    hub.files[f"/models/{name}"] = data
    folder = fetch_and_add(tmp_path, f"torchvision:{ARCHITECTURE}")
    assert (folder / name).read_bytes() == data
    assert f'source = "torchvision:{ARCHITECTURE}@IMAGENET1K_V1"\n' in (folder / "model.toml").read_text()
    read = read_folder(folder)
    verify_files(read)
    assert (read.loader, read.architecture, read.output.labels.count) == ("torchvision", ARCHITECTURE, 1000)


def test_an_unreachable_mirror_of_torchvision_is_named_with_the_remedies(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as silent:  # bound, but not listening
        silent.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("WANWU_TORCHVISION_MIRROR", dead)
        assert fetch.main(tmp_path / "into", FetchModelOptions(source="torchvision:resnet18")) == 1
    assert capsys.readouterr().err == (
        f"!! {dead}: no connection: Connection refused: needed a network: set https_proxy for a proxy, "
        "WANWU_TORCHVISION_MIRROR for a mirror; or copy the files here and run `make model-add SOURCE=PATH`\n"
    )


def test_weights_of_timm_outside_the_hub_become_a_model(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    name, data = save(timm.create_model(TIMM.partition(".")[0]), tmp_path / "weights")
    config = replace(_registry._model_pretrained_cfgs[TIMM], hf_hub_id=None, url=f"{hub.address}/releases/{name}")
    monkeypatch.setitem(_registry._model_pretrained_cfgs, TIMM, config)
    hub.files[f"/releases/{name}"] = data
    folder = fetch_and_add(tmp_path, f"timm:{TIMM}")
    assert (folder / name).read_bytes() == data
    assert f'source = "timm:{TIMM}"\n' in (folder / "model.toml").read_text()
    assert read_folder(folder).loader == "timm"


def test_weights_that_contradict_the_hash_in_their_name_are_refused(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.files["/models/resnet18-f37072fd.pth"] = b"not these"
    assert fetch.main(tmp_path / "into", FetchModelOptions(source="torchvision:resnet18")) == 1
    found = hashlib.sha256(b"not these").hexdigest()[:8]
    assert capsys.readouterr().err == (
        f"!! {tmp_path}/into/files/resnet18-f37072fd.pth: found sha256 {found}, needed f37072fd: the file was "
        "removed; fetch it again, if necessary from another mirror\n"
    )
    assert list((tmp_path / "into/files").iterdir()) == []


@pytest.mark.parametrize(
    ("revision", "recorded", "file"),
    [
        ("", "IMAGENET1K_V2", "resnet50-11ad3fa6.pth"),
        ("IMAGENET1K_V1", "IMAGENET1K_V1", "resnet50-0676ba61.pth"),
    ],
)
def test_torchvisions_default_weights_are_fetched_unless_others_are_requested(
    hub: Hub, revision: str, recorded: str, file: str
) -> None:
    hub.files[f"/models/{file}"] = b"1234"
    plan = plan_for("torchvision:resnet50", revision)
    (remote,) = plan.files
    digest = file.removeprefix("resnet50-").removesuffix(".pth")
    assert (remote.path, remote.size, remote.digest) == (file, 4, f"sha256:{digest}")
    assert (plan.source, plan.loader) == (f"torchvision:resnet50@{recorded}", "torchvision")
    assert [one.path for one in hub.requests] == [f"/models/{file}"]


@pytest.mark.parametrize(
    ("source", "revision", "message"),
    [
        ("torchvision:resnet19", "", "SOURCE: torchvision has no classification architecture 'resnet19'"),
        ("torchvision:resnet50", "V3", "REVISION: found 'V3', needed one of IMAGENET1K_V1, IMAGENET1K_V2"),
        ("timm:resnet19", "", "SOURCE: timm has no weights for 'resnet19'"),
        ("timm:resnet18.nobody", "", "SOURCE: timm has no weights for 'resnet18.nobody'"),
        (
            "timm:gcvit_base.in1k",
            "v2",
            "REVISION: found 'v2', but timm's weights for 'gcvit_base.in1k' have no revisions: leave it out",
        ),
    ],
)
def test_unknown_names_and_revisions_are_refused(source: str, revision: str, message: str) -> None:
    with pytest.raises(FetchError) as error:
        plan_for(source, revision)
    assert str(error.value) == message
