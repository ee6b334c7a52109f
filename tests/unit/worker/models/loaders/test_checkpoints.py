"""Checkpoints as training scripts write them: what is taken from them, what is renamed, and what is refused."""

import functools
import pathlib
import pickle
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.unit.worker.models.loaders.model_errors import model_error
from worker.decode import Geometry
from worker.models import torchvision_ops
from worker.models.loaders import Description, describe
from worker.models.loaders.state_dict import read_for

torchvision_ops.make_importable()
import timm  # noqa: E402
from torchvision.models import get_model  # noqa: E402

State = dict[str, torch.Tensor]
NAME = "test_resnet"  # timm's smallest network with batch normalisation and a layer called fc
NETWORK = timm.create_model(NAME, num_classes=3).eval()
WIDTH = NETWORK.fc.in_features
STATE: State = NETWORK.state_dict()
OPTIMIZER = torch.optim.Adam(NETWORK.parameters())
NETWORK(torch.rand(2, 3, 32, 32)).sum().backward()
OPTIMIZER.step()
ADAM = OPTIMIZER.state_dict()
DROPOUT = "took the linear layer fc.1 for fc, assuming dropout before it"
NETWORK_REMEDY = (
    "put a network.py beside the weights, whose build(classes) returns the network that was trained, "
    "and set TRUST_CODE=1 with SOURCE= their folder"
)


def prefixed(prefix: str, state: State = STATE) -> State:
    return {prefix + key: value for key, value in state.items()}


def with_head(head: torch.nn.Module) -> State:
    network = timm.create_model(NAME, num_classes=3)
    network.fc = head
    return dict(network.state_dict())


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def described(path: Path, architecture: str = NAME) -> Description:
    """Describe the file, and check that all its weights can be loaded."""
    found = describe(path, None, architecture)
    network = timm.create_model(NAME, num_classes=found.classes)
    network.load_state_dict(read_for(network, path)[0])
    return found


def error_text(path: Path, architecture: str = NAME) -> str:
    return model_error(path.parent, lambda: describe(path, None, architecture))


class Meter:
    """Something of a training script's own in a checkpoint."""

    def __init__(self) -> None:
        self.values = [1.0]


# A .ckpt of Lightning 2.6 has these keys; trainer.save_checkpoint of a module with a weighted loss was compared.
LIGHTNING = {
    "epoch": 1, "global_step": 2, "pytorch-lightning_version": "2.6.6",
    "state_dict": {**prefixed("model."), "criterion.weight": torch.ones(3)},
    "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 1}}}},
    "callbacks": {"ModelCheckpoint{'monitor': 'val_loss'}": {"best_k_models": {"a.ckpt": torch.tensor(0.5)}}},
    "optimizer_states": [ADAM], "lr_schedulers": [], "hparams_name": "kwargs",
    "hyper_parameters": {"lr": 0.1, "optimizer": functools.partial(torch.optim.Adam, lr=1), "net": NETWORK},
}  # fmt: skip


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (STATE, ()),
        ({"epoch": 3, "model_state_dict": STATE, "optimizer_state_dict": ADAM, "loss": 0.1}, ("model_state_dict",)),
        ({"net": prefixed("module."), "acc": 93.2, "epoch": 3}, ("net",)),
        *(({name: STATE, "optimizer": ADAM, "best": torch.tensor(0.9)}, (name,))
          for name in ("state_dict", "model", "model_state", "weights", "params", "network", "module", "best_weights")),
        ({"model": STATE, "ema_state_dict": {key: value + 1 for key, value in STATE.items()}}, ("ema_state_dict",)),
        ({"model": STATE, "ema": {"fc.weight": STATE["fc.weight"]}}, ("model",)),
        ({"model": {"state_dict": STATE}, "optimizer": ADAM}, ("model.state_dict",)),
        ({"state": {"model": STATE, "optimizers": {"Adam": ADAM}}}, ("state.model",)),
        ({"model": STATE, "state_dict": STATE}, ("model",)),
        ({"net": STATE, "meter": Meter(), "log": pathlib.PurePath("a"), "seen": defaultdict(list, a=[1])}, ("net",)),
        ({"state_dict": prefixed("backbone."), "meta": {"CLASSES": ["cat"]}}, ("state_dict", "backbone.")),
        (prefixed("model.module."), ("model.module.",)),
        (LIGHTNING, ("state_dict", "model.", "left out criterion.weight: no weights of the network")),
        (torch.optim.swa_utils.AveragedModel(NETWORK).state_dict(),
         ("module.", "left out n_averaged: no weights of the network")),
        ({**prefixed("net."), **prefixed("ema_net.")}, ("ema_net.", "left out the keys that start with net.")),
        ({**STATE, "layer1.total_ops": torch.zeros(1)}, ("left out layer1.total_ops: no weights of the network",)),
        ({key: value for key, value in STATE.items() if not key.endswith("num_batches_tracked")}, ()),
        (with_head(torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Linear(WIDTH, 3))), (DROPOUT,)),
        (with_head(torch.nn.Sequential(torch.nn.Linear(WIDTH, 3), torch.nn.LogSoftmax(1))),
         ("took the linear layer fc.0 for fc",)),
        ({("head." if key.startswith("fc.") else "backbone.") + key: value for key, value in STATE.items()},
         ("backbone.", "took the linear layer head.fc for fc")),
    ],
)  # fmt: skip
def test_the_weights_of_a_checkpoint_are_found(tmp_path: Path, content: Any, notes: tuple[str, ...]) -> None:
    found = described(saved(tmp_path / "best.ckpt", content))
    assert (found.architecture, found.classes, [*found.files]) == (f"timm:{NAME}", 3, ["best.ckpt"])
    shown = [
        note.removeprefix("took the weights under ")
        .removeprefix("took '")
        .removesuffix("' away from the start of the keys")
        for note in found.notes
    ]
    assert tuple(shown) == notes


@pytest.mark.parametrize("name", ["best", "best.pt", "best.tar", "model.bin", "epoch=3-val.ckpt", "last.pkl"])
def test_a_file_is_read_by_its_content_whatever_its_name(tmp_path: Path, name: str) -> None:
    assert described(saved(tmp_path / name, {"model": STATE})).classes == 3
    (tmp_path / name).unlink()
    save_file(STATE, tmp_path / name)
    assert described(tmp_path / name).classes == 3


def test_the_only_weights_of_a_folder_are_found(tmp_path: Path) -> None:
    saved(tmp_path / "best.ckpt", {"model": STATE})
    for name in ("log.txt", "._best.ckpt", ".DS_Store"):
        (tmp_path / name).touch()
    assert describe(tmp_path, None, NAME).weights == "best.ckpt"


def test_of_two_candidates_none_is_guessed(tmp_path: Path) -> None:
    other = {key: value + 1 for key, value in STATE.items()}
    two = saved(tmp_path / "w.pt", {"student": STATE, "teacher": other})
    assert error_text(two) == (
        "F/w.pt: found weights under student and teacher, needed one of them: save it alone, such as "
        "torch.save(torch.load('w.pt')['student'], 'weights.pth')"
    )
    assert error_text(saved(two, {**prefixed("encoder_q."), **prefixed("encoder_k.", other)})) == (
        "F/w.pt: found the same network under 'encoder_q.' and 'encoder_k.', needed it once: "
        "save only the keys of one of them"
    )


def test_a_checkpoint_without_weights_is_refused(tmp_path: Path) -> None:
    assert error_text(saved(tmp_path / "w.pt", {"optimizer": ADAM, "epoch": 1})) == (
        "F/w.pt: found no weights, only optimizer, epoch; needed a mapping of tensors such as network.state_dict()"
    )


def test_another_head_is_refused_with_its_keys_and_the_next_step(tmp_path: Path) -> None:
    layers = torch.nn.Sequential(torch.nn.Linear(WIDTH, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    assert error_text(saved(tmp_path / "w.pt", with_head(layers))) == (
        f"F/w.pt: does not fit {NAME}: missing: fc.weight, fc.bias; "
        "unexpected: fc.0.weight, fc.0.bias, fc.2.weight, fc.2.bias; "
        f"its last layers are others than {NAME}'s, fc.0.weight, fc.0.bias and 2 more in place of fc.weight, fc.bias: "
        f"{NETWORK_REMEDY}"
    )
    late = torch.nn.Sequential(torch.nn.Tanh(), torch.nn.Dropout(), torch.nn.Linear(WIDTH, 3))
    assert "fc.2.weight, fc.2.bias in place of fc.weight, fc.bias" in error_text(saved(tmp_path / "w", with_head(late)))
    bare = {key: value for key, value in STATE.items() if not key.startswith("fc.")}
    assert error_text(saved(tmp_path / "w.pt", bare)) == (
        f"F/w.pt: does not fit {NAME}: missing: fc.weight, fc.bias; "
        "its last layer fc.weight, fc.bias is not in the file: needed the weights of a whole classifier"
    )


def test_the_architecture_that_weights_fit_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", {"model": prefixed("net.", get_model("densenet121", num_classes=2).state_dict())})
    assert error_text(path, "") == (
        "F/w.pt: not a name that torchvision publishes weights under; name the architecture: "
        "it fits densenet121, set ARCHITECTURE=densenet121"
    )
    assert error_text(path, "resnet18") == (
        "F/w.pt: does not fit resnet18, but densenet121: set ARCHITECTURE=densenet121"
    )


def test_a_vit_has_the_size_that_it_was_trained_at(tmp_path: Path) -> None:
    state = timm.create_model("test_vit", num_classes=3, img_size=96).state_dict()
    assert describe(saved(tmp_path / "w.pt", state), None, "test_vit").geometry == Geometry((96, 96), None, "bicubic")


def test_branches_that_serve_only_training_may_be_missing(tmp_path: Path) -> None:
    network = get_model("googlenet", num_classes=2, aux_logits=False, init_weights=False)
    assert describe(saved(tmp_path / "w.pt", network.state_dict()), None, "googlenet").classes == 2


def test_the_weights_of_an_openvino_network_are_told_from_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "model.xml").touch()
    (tmp_path / "model.bin").write_bytes(bytes(100))
    assert error_text(tmp_path / "model.bin") == (
        "F/model.bin: holds the weights of an OpenVINO network, needed the network itself: name F/model.xml"
    )


def test_a_name_that_both_libraries_have_means_the_one_that_fits(tmp_path: Path) -> None:
    state = timm.create_model("efficientnet_b0", num_classes=2).state_dict()
    found = describe(saved(tmp_path / "w.pt", state), None, "efficientnet_b0")
    assert (found.architecture, found.classes) == ("timm:efficientnet_b0", 2)


# Files that hold code or no network


def export(network: str, imports: str = "") -> str:
    return (
        f'python -c "import torch{imports}; torch.onnx.export({network}.eval().float(), '
        "torch.zeros(1, 3, 224, 224), 'model.onnx', dynamo=False, input_names=['x'], dynamic_axes={'x': {0: 'n'}})\", "
        "with the size of its input, makes an .onnx that can be added"
    )


def test_a_torchscript_program_is_refused_with_the_command_that_exports_it(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "m.pt")
    assert error_text(tmp_path / "m.pt") == (
        "F/m.pt: is a TorchScript program and was not loaded; if you trust it, "
        + export("torch.jit.load('m.pt', 'cpu')")
    )


def test_a_pickled_network_is_refused_with_the_command_that_exports_it(tmp_path: Path) -> None:
    trusted = "where that code is installed, and if you trust the file, "
    whole, part = saved(tmp_path / "w.pt", torch.nn.Linear(2, 2)), saved(tmp_path / "p.pt", {"model": NETWORK})
    found = "contains code and was not loaded"
    assert error_text(whole) == (
        f"F/w.pt: {found}: torch.nn.modules.linear.Linear; it is a whole network with its classes: {trusted}"
        + export("torch.load('w.pt', weights_only=False)")
    )
    assert error_text(part) == (
        f"F/p.pt: {found}: timm.models.resnet.ResNet; its 'model' is a whole network with its classes: {trusted}"
        + export("torch.load('p.pt', weights_only=False)['model']")
    )


@pytest.mark.parametrize(
    ("module", "name", "content", "remedy"),
    [
        ("ultralytics.nn.tasks", "ClassificationModel", "part", "`yolo export model=m.pt format=onnx` makes an .onnx"),
        ("models.yolo", "ClassificationModel", "part", "`yolo export model=m.pt format=onnx` makes an .onnx"),
        ("fastai.learner", "Learner", "whole",
         export("load_learner('m.pt').model", "; from fastai.learner import load_learner")),
    ],
)  # fmt: skip
def test_the_frameworks_own_files_are_refused_with_their_own_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str, content: str, remedy: str
) -> None:
    """The libraries are not at hand: the file names their class as theirs do, which is all that is looked at."""
    kind = type(name, (torch.nn.Linear,), {"__module__": module})
    parent, modules = "", module.split(".")
    for part in modules:
        parent = f"{parent}.{part}".lstrip(".")
        monkeypatch.setitem(sys.modules, parent, type(torch)(parent))
    setattr(sys.modules[module], name, kind)
    network = kind(2, 2)
    saved(tmp_path / "m.pt", network if content == "whole" else {"epoch": 1, "model": network, "ema": None})
    assert remedy in error_text(tmp_path / "m.pt")


def test_what_pickle_wrote_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(STATE))
    assert error_text(tmp_path / "m.pkl") == (
        "F/m.pkl: was written by pickle, needed a file of torch.save; "
        "save only its weights with torch.save(network.state_dict(), FILE)"
    )


@pytest.mark.parametrize("zipped", [True, False])
def test_another_protocol_of_pickle_is_named(tmp_path: Path, zipped: bool) -> None:
    torch.save(STATE, tmp_path / "w.pt", pickle_protocol=4, _use_new_zipfile_serialization=zipped)
    assert error_text(tmp_path / "w.pt") == (
        "F/w.pt: was saved with pickle_protocol=4, needed the usual one; if you trust the file, "
        "python -c \"import torch; torch.save(torch.load('w.pt', weights_only=False), 'weights.pth')\""
    )


def test_an_adapter_alone_is_refused_with_how_to_merge_it(tmp_path: Path) -> None:
    (tmp_path / "lora").mkdir()
    weights = tmp_path / "lora/adapter_model.safetensors"
    save_file({"base_model.model.vit.lora_A.weight": torch.zeros(2, 2)}, weights)
    (tmp_path / "lora/adapter_config.json").write_text('{"base_model_name_or_path": "google/vit-base-patch16-224"}')
    merge = (
        "found an adapter alone, needed it merged into its base network: with peft, "
        "PeftModel.from_pretrained(AutoModelForImageClassification.from_pretrained({base!r}), {adapter!r})"
        ".merge_and_unload().save_pretrained('merged'); "
        "copy the base's preprocessor_config.json there, and add that folder"
    )
    for path in (tmp_path / "lora", weights):
        text = model_error(tmp_path, lambda path=path: describe(path))  # type: ignore[misc]
        assert text.endswith(merge.format(base="google/vit-base-patch16-224", adapter="lora"))
    assert error_text(weights.rename(tmp_path / "w.safetensors")) == (
        "F/w.safetensors: " + merge.format(base="BASE", adapter="ADAPTER")
    )


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"<!DOCTYPE html><html>sign in", "a web page, needed weights; download the file itself"),
        (b"PK\x05\x06" + bytes(18), "a zip archive, needed weights; unpack it, and add the file inside"),
        (bytes(257) + b"ustar" + bytes(250), "a tar archive, needed weights; unpack it, and add the file inside"),
    ],
)
def test_what_surrounds_weights_is_named(tmp_path: Path, data: bytes, found: str) -> None:
    (tmp_path / "w.tar").write_bytes(data)
    assert error_text(tmp_path / "w.tar") == f"F/w.tar: found {found}"


def test_an_exported_program_is_recognised_under_another_suffix(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2))
    torch.export.save(torch.export.export(network, (torch.zeros(1, 3, 2, 2),)), tmp_path / "m.pt2")
    (tmp_path / "m.pt2").rename(tmp_path / "m.pt")
    assert describe(tmp_path / "m.pt").loader == "pt2"
