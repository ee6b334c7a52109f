"""Damaged, foreign and dangerous models: one line with the path, what was found and what to do; nothing is run."""

import dataclasses
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests import folders
from tests.unit.worker.models.loaders.model_errors import PickledCommand, model_error
from worker.contract.declarations import TORCH
from worker.contract.loaders import LOADERS, loaders_with
from worker.contract.model_files import STATE_DICTS
from worker.contract.toml_reader import ModelError
from worker.decode import Geometry
from worker.engines import load_engine
from worker.models import torchvision_ops
from worker.models.folder import ModelFolder, read_folder
from worker.models.loaders import describe, load_network
from worker.models.loaders.detect import suffixes

torchvision_ops.make_importable()

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
FETCH = "a Git LFS pointer, not the weights; fetch them with `git lfs pull`"


def error_text(path: Path, loader: str | None = None, architecture: str = "") -> str:
    return model_error(path.parent, lambda: describe(path, loader, architecture))


def loading(folder: ModelFolder) -> str:
    return model_error(folder.path, lambda: load_network(folder))


# What is at hand


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert error_text(tmp_path / "m") == "F/m: does not exist; check the path"


def test_a_loader_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path) -> None:
    assert error_text(tmp_path, "keras").endswith(f": no loader 'keras'; needed one of {', '.join(LOADERS)}")


def test_a_file_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.weights").touch()
    assert error_text(tmp_path / "m.weights") == (
        f"F/m.weights: not a known kind of file; needed {', '.join(suffixes())}, or a folder"
    )


def test_a_folder_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    markers = ", ".join(f"{loader.marker} ({name})" for name, loader in LOADERS.items() if loader.marker)
    assert markers.startswith("network.py (checkpoint), open_clip_config.json, or config.json with model_type clip, ")
    told = ", ".join(suffix for suffix in suffixes() if suffix not in STATE_DICTS)
    assert error_text(tmp_path / "m") == (
        f"F/m: cannot tell what kind of model this is; needed {markers}, or a {told} file: name the loader"
    )


def test_a_hugging_face_cache_without_its_reference_or_its_snapshot_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m/snapshots").mkdir(parents=True)
    assert error_text(tmp_path / "m") == ("F/m/refs/main: not found; name one of the folders in F/m/snapshots instead")
    (tmp_path / "m/refs").mkdir()
    (tmp_path / "m/refs/main").write_text("abc")
    assert error_text(tmp_path / "m") == (
        "F/m/snapshots/abc: not found, though F/m/refs/main names it; download the model again"
    )


# torchvision


def test_weights_under_a_name_nobody_publishes_need_an_architecture(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "w.pth")
    assert error_text(tmp_path / "w.pth") == (
        "F/w.pth: not a name that torchvision publishes weights under; name the architecture"
    )


@pytest.mark.parametrize("architecture", ["resnet19", "fcn_resnet50"])
def test_an_unknown_torchvision_architecture_is_refused(tmp_path: Path, architecture: str) -> None:
    torch.save({}, tmp_path / "w.pth")
    assert error_text(tmp_path / "w.pth", "torchvision", architecture) == (
        f"F/w.pth: torchvision has no classification architecture {architecture!r}"
    )


def test_weights_whose_hash_is_not_the_one_in_their_name_are_refused(tmp_path: Path) -> None:
    folder = read_folder(folders.torchvision_folder(tmp_path / "m"))
    weights = Path(shutil.copy(folder.weights, folder.path / "mobilenet_v3_small-047dcff4.pth"))
    renamed = dataclasses.replace(folder, weights=weights)
    found = f"sha256 starts with {folder.files['weights.pth'][:8]}, its name says 047dcff4; download the file again"
    assert loading(renamed) == f"F/mobilenet_v3_small-047dcff4.pth: {found}"
    assert error_text(weights) == f"F/mobilenet_v3_small-047dcff4.pth: {found}"


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    folder = read_folder(folders.torchvision_folder(tmp_path / "m"))
    other = loading(dataclasses.replace(folder, architecture="resnet18"))
    assert other.startswith("F/weights.pth: does not fit resnet18: missing: conv1.weight, bn1.weight, bn1.bias, ")
    assert " and 114 more; unexpected: features.0.0.weight, " in other


# transformers


@pytest.fixture
def transformers(tmp_path: Path) -> ModelFolder:
    return read_folder(folders.transformers_folder(tmp_path / "m"))


def test_a_folder_of_transformers_without_its_processor_is_refused(transformers: ModelFolder) -> None:
    assert error_text(transformers.path) == (
        "F/m/preprocessor_config.json: not found; copy it from where the model came from"
    )


def test_a_folder_of_transformers_with_a_weight_missing_or_of_another_shape_is_refused(
    transformers: ModelFolder,
) -> None:
    file = transformers.path / "model.safetensors"
    complete = load_file(file)
    for state in (
        {key: value for key, value in complete.items() if key != "classifier.bias"},
        complete | {"classifier.bias": torch.zeros(9)},
    ):
        save_file(state, file, metadata={"format": "pt"})
        assert loading(transformers) == "F: does not fit vit: missing or of another shape: classifier.bias"


def test_a_folder_of_transformers_without_a_model_type_is_refused(transformers: ModelFolder) -> None:
    config = transformers.path / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_type": "", "architectures": []}))
    assert loading(transformers).startswith("F: not a folder that transformers can load: ")


def test_a_config_that_is_no_json_is_refused(transformers: ModelFolder) -> None:
    (transformers.path / "config.json").write_text("{")
    assert error_text(transformers.path).startswith("F/m/config.json: not valid JSON: ")
    (transformers.path / "config.json").write_text("[]")
    assert error_text(transformers.path) == "F/m/config.json: found a list, needed a JSON object"


def test_a_folder_of_transformers_without_weights_is_refused(transformers: ModelFolder) -> None:
    (transformers.path / "model.safetensors").unlink()
    expected = "has no weights; needed model.safetensors or pytorch_model.bin, or these in parts with their .index.json"
    assert loading(transformers) == f"F: {expected}"


def test_a_folder_of_transformers_with_a_pointer_or_a_pickle_with_code_is_refused(transformers: ModelFolder) -> None:
    (transformers.path / "model.safetensors").write_text(POINTER)
    assert loading(transformers) == f"F/model.safetensors: {FETCH}"
    (transformers.path / "model.safetensors").unlink()
    ran = transformers.path.parent / "ran"
    torch.save({"classifier.bias": PickledCommand(ran)}, transformers.path / "pytorch_model.bin")
    assert loading(transformers).startswith("F/pytorch_model.bin: contains code and was not loaded: posix.system;")
    assert not ran.exists()


def test_a_processor_that_model_toml_cannot_describe_is_refused(transformers: ModelFolder) -> None:
    from transformers import ViTImageProcessor

    ViTImageProcessor(do_resize=False).save_pretrained(transformers.path)
    assert error_text(transformers.path) == (
        "F/m: its processor does not resize, so the network's input size is unknown; set do_resize"
    )


# timm and ModelScope


@pytest.mark.parametrize("architecture", ["resnet19", "resnet18.no_such_weights", ""])
def test_an_architecture_that_timm_does_not_have_is_refused(tmp_path: Path, architecture: str) -> None:
    torch.save({}, tmp_path / "w.pth")
    assert error_text(tmp_path / "w.pth", "timm", architecture) == f"F/w.pth: timm has no architecture {architecture!r}"


def test_a_folder_of_timm_without_weights_is_refused(tmp_path: Path) -> None:
    path = folders.timm_folder(tmp_path / "m")
    (path / "model.safetensors").unlink()
    assert error_text(path) == (
        "F/m: has no weights; needed one of model.safetensors, pytorch_model.bin, pytorch_model.pth, model.pth"
    )


def test_a_folder_of_timm_for_another_architecture_is_refused(tmp_path: Path) -> None:
    folder = read_folder(folders.timm_folder(tmp_path / "m"))
    assert loading(dataclasses.replace(folder, architecture="test_vit2")) == (
        "F: timm cannot build test_vit2 of [32, 32] pixels: Token pooling needs the class token."
    )


def test_a_folder_of_timm_with_a_weight_missing_is_refused(tmp_path: Path) -> None:
    folder = read_folder(folders.timm_folder(tmp_path / "m"))
    state = load_file(folder.weights)
    del state["head.bias"]
    save_file(state, folder.weights)
    assert loading(folder) == "F/model.safetensors: does not fit test_vit: missing: head.bias"


def test_a_snapshot_without_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    torch.save({"fc.weight": torch.zeros(3, 2)}, tmp_path / "m/pytorch_model.pt")
    assert error_text(tmp_path / "m") == (
        "F/m/meta_info.txt: not found; it has the labels, copy it from the model's snapshot"
    )
    (tmp_path / "m/meta_info.txt").write_text("0\t猫\n1\n2\t \n", encoding="utf-8")
    assert error_text(tmp_path / "m") == (
        "F/m/meta_info.txt: no label in line 2, 3; needed it after the line's first tab"
    )
    (tmp_path / "m/meta_info.txt").write_bytes(b"0\t\xff\n")
    assert error_text(tmp_path / "m").startswith("F/m/meta_info.txt: not UTF-8: ")
    torch.save({"state_dict": {"backbone.cls_token": torch.zeros(1)}, "meta": {}}, tmp_path / "m/pytorch_model.pt")
    assert error_text(tmp_path / "m") == "F/m/pytorch_model.pt: has no labels; needed them in its meta['CLASSES']"


def test_a_snapshot_with_an_additional_key_is_refused(tmp_path: Path) -> None:
    folder = read_folder(folders.openmmlab_folder(tmp_path / "m"))
    state = torch.load(folder.weights, weights_only=False)["state_dict"]
    torch.save({"state_dict": state | {"neck.bias": torch.zeros(1)}}, folder.weights)
    assert loading(folder) == f"F/pytorch_model.pt: does not fit {folders.VIT}: unexpected: neck.bias"


# Checkpoints


def test_a_users_own_network_is_not_run_without_trust(tmp_path: Path) -> None:
    folder = read_folder(folders.code_folder(tmp_path / "m", trusted=False))
    assert loading(folder) == (
        "F/network.py: is code that would run in the worker; read it, and if you trust it "
        "set trust_code = true in model.toml"
    )
    assert not (folder.path / "ran").exists()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("", "build(classes) failed: AttributeError: module 'wanwu_network' has no attribute 'build'"),
        ("def build(classes):\n    return 1 / 0\n", "build(classes) failed: ZeroDivisionError: division by zero"),
        ("def build(classes):\n    return classes\n", "build(classes) returned a int, needed a torch.nn.Module"),
    ],
)
def test_a_users_own_network_that_fails_is_refused_with_its_error(tmp_path: Path, code: str, reason: str) -> None:
    folder = read_folder(folders.code_folder(tmp_path / "m", trusted=True))
    (folder.path / "network.py").write_text(code)
    assert loading(folder) == f"F/network.py: {reason}"
    assert not (folder.path / "__pycache__").exists()


def test_a_checkpoint_without_an_architecture_or_with_an_unknown_one_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pth")
    assert error_text(tmp_path / "w.pth", "checkpoint") == (
        "F/w.pth: a state dict needs an architecture, or a network.py next to it"
    )
    assert error_text(tmp_path / "w.pth", "checkpoint", "resnet19") == (
        "F/w.pth: no architecture 'resnet19': neither torchvision nor timm has it; correct its spelling"
    )
    assert error_text(tmp_path / "w.pth", "checkpoint", "torchvision:test_vit") == (
        "F/w.pth: no architecture 'test_vit' in torchvision; correct its spelling"
    )


# Exported networks


@pytest.mark.parametrize(("suffix", "main"), [(".xml", "m.xml"), (".onnx", "m.onnx"), (".pt2", "m.pt2")])
def test_exported_networks_that_are_pointers_are_refused(tmp_path: Path, suffix: str, main: str) -> None:
    (tmp_path / main).write_text(POINTER)
    assert error_text(tmp_path / main) == f"F/{main}: {FETCH}"


def test_exported_networks_without_their_weights_are_refused(onnx: Path, tmp_path: Path) -> None:
    alone, xml = shutil.copytree(onnx, tmp_path / "o"), folders.openvino_folder(tmp_path / "x")
    (alone / "m.onnx.data").unlink()
    (xml / "model.bin").unlink()
    assert model_error(tmp_path, lambda: describe(alone)) == (
        "F/o/m.onnx.data: not found; m.onnx needs it for its weights, copy it to the same folder"
    )
    assert model_error(tmp_path, lambda: load_engine(read_folder(xml), "auto", 1)) == (
        "F/x/model.bin: not found; model.xml needs it for its weights, copy it to the same folder"
    )


def test_an_onnx_network_with_weights_elsewhere_is_refused(onnx: Path, tmp_path: Path) -> None:
    network = shutil.copytree(onnx, tmp_path / "o") / "m.onnx"
    network.write_bytes(network.read_bytes().replace(b"m.onnx.data", b"../etc/pass"))
    assert model_error(tmp_path, lambda: describe(network)) == (
        "F/o/m.onnx: has weights in F/o/../etc/pass; needed them in the same folder"
    )


@pytest.mark.parametrize("name", ["m.onnx", "m.xml"])
def test_exported_networks_cut_short_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x08\x0a\x12\x07")
    (tmp_path / "m.bin").touch()
    found = error_text(tmp_path / name)
    assert found.startswith(f"F/{name}: not a network that OpenVINO can read: ")
    assert found.endswith("; copy it again")


def test_an_exported_network_that_takes_no_images_is_refused(tmp_path: Path) -> None:
    import openvino as ov

    for shape in ("[2,3]", "[2,3,4,8,8]"):
        taken = [(ov.PartialShape(shape), ov.Type.f32)]
        network = ov.convert_model(torch.nn.ReLU(), input=taken, example_input=torch.ones(1))
        ov.save_model(network, tmp_path / "m.xml")
        assert error_text(tmp_path / "m.xml") == (
            f"F/m.xml: takes input {shape}, needed one input, of images [N, channels, height, width] or "
            "[N, height, width, channels]: export the network with that input alone"
        )


@pytest.fixture(scope="module")
def onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.onnx_folder(tmp_path_factory.mktemp("onnx") / "m")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.pt2_folder(tmp_path_factory.mktemp("pt2") / "m")


def rewritten(source: Path, target: Path, changes: dict[str, Callable[[bytes], bytes]]) -> Path:
    """A copy of the archive with some of its files changed, or added."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        root = old.namelist()[0].partition("/")[0]
        for name in old.namelist():
            new.writestr(name, changes.pop(name.partition("/")[2], bytes)(old.read(name)))
        for name, content in changes.items():
            new.writestr(f"{root}/{name}", content(b""))
    return target


def code(path: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save(PickledCommand(path), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "old", "new", "fault"),
    [
        ("models/model.json", b"torch.ops.aten.relu.default", b"torch.hub.os.system", "torch.hub.os.system"),
        ("models/model.json", b"torch.ops.aten.relu.default", b"_operator.methodcaller", "_operator.methodcaller"),
        ("models/model.json", b"torch.ops.aten.relu.default", b"#eval", "#eval"),
        ("models/model.json", b"Symbol('", b"exec('pass') or Symbol('", "exec('pass') or Symbol('s"),
        ("data/weights/model_weights_config.json", b'"use_pickle": false', b'"use_pickle": true', "0.bias pickled"),
        ("data/weights/model_weights_config.json", b'"weight_0"', b'"opaque_obj_0"', "0.weight pickled"),
        ("data/sample_inputs/model.pt", b"", b"code", "data/sample_inputs/model.pt"),
        ("data/weights/model.pt", b"", b"code", "data/weights/model.pt"),
        ("models/other.json", b"", b"{}", "models/other.json"),
    ],
)
def test_an_archive_of_torch_export_with_more_than_tensors_and_operators_is_refused(
    exported: Path, tmp_path: Path, name: str, old: bytes, new: bytes, fault: str
) -> None:
    def change(content: bytes) -> bytes:
        assert old in content
        return code(tmp_path / "ran") if new == b"code" else content.replace(old, new) if old else new

    path = rewritten(exported / "m.pt2", tmp_path / "m.pt2", {name: change})
    folder = dataclasses.replace(read_folder(exported), path=tmp_path, weights=path)
    for found in (loading(folder), error_text(path)):
        assert found.startswith("F/m.pt2: contains more than tensors and torch's operators, and was not loaded: ")
        assert fault in found
        assert found.endswith("; export the network again with torch.export.save")
    assert not (tmp_path / "ran").exists()


def test_an_archive_of_torch_export_cut_short_is_refused(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "m.pt2").write_bytes((exported / "m.pt2").read_bytes()[:3000])
    assert error_text(tmp_path / "m.pt2") == (
        "F/m.pt2: not an archive of torch.export: PytorchStreamReader failed reading zip archive: "
        "failed finding central directory; copy it again"
    )


def program(path: Path, shape: tuple[int, ...]) -> Path:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.ReLU())
    torch.export.save(torch.export.export(network, (torch.zeros(shape),)), path)
    return path


def test_an_archive_of_torch_export_for_one_size_of_batch_is_refused_for_others(exported: Path, tmp_path: Path) -> None:
    weights = program(tmp_path / "m.pt2", (2, 3, 8, 8))
    folder = dataclasses.replace(read_folder(exported), path=tmp_path, weights=weights)
    assert loading(folder) == (
        "F/m.pt2: takes [channels, height, width] [3, 8, 8], model.toml says [3, 32, 32]; "
        "set [input] channels and size to what it takes"
    )
    small = dataclasses.replace(folder.input, geometry=Geometry((8, 8), None, "bilinear"))
    folder = dataclasses.replace(folder, input=small)
    assert loading(folder) == (
        "F/m.pt2: takes only batches of 2, model.toml says [1, 4]; "
        "export it again with dynamic_shapes for the first dimension"
    )
    engine = dataclasses.replace(folder.engine, batch_sizes=(2,))
    assert load_network(dataclasses.replace(folder, engine=engine))(torch.zeros(2, 3, 8, 8)).shape == (2, 192)


@pytest.mark.parametrize("shape", [(2, 3), (4, 8, 8)])
def test_an_archive_of_torch_export_that_takes_no_images_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    assert error_text(program(tmp_path / "m.pt2", shape)) == (
        "F/m.pt2: needed one input [N, channels, height, width], all but N fixed; export it again"
    )


def test_the_torch_engine_does_not_run_what_openvino_reads(onnx: Path) -> None:
    folder = read_folder(onnx)
    assert loading(folder) == (
        f"F: engine torch cannot run loader 'onnx'; it runs {', '.join(loaders_with(format=TORCH))}: "
        "set [engine] name to the engine the folder was prepared for"
    )


def test_a_date_in_a_file_name_is_not_a_hash_but_every_published_hash_is(tmp_path: Path) -> None:
    from torchvision.models import get_model_weights

    from worker.models.loaders.torchvision import ARCHITECTURES, HASH_IN_NAME, check_hash

    dated = tmp_path / "mynet-20240101.pth"
    dated.write_bytes(b"weights")
    check_hash(dated)
    hashed = dated.rename(tmp_path / "mynet-2024abcd.pth")
    with pytest.raises(ModelError, match="its name says 2024abcd"):
        check_hash(hashed)
    published = {weights.url for architecture in ARCHITECTURES for weights in get_model_weights(architecture)}
    assert [url for url in published if not HASH_IN_NAME.search(url)] == []
