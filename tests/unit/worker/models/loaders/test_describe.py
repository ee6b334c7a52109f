"""What is said of a model at hand: its files, labels and preparation of images; test_parity.py compares pixels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests import folders
from worker.contract.files import sha256
from worker.decode import Geometry
from worker.models import torchvision_ops
from worker.models.loaders import describe, imagenet_labels

torchvision_ops.make_importable()
import timm  # noqa: E402
from torchvision.models import ResNet50_Weights, get_model  # noqa: E402
from transformers import (  # noqa: E402
    BeitImageProcessor,
    BitImageProcessor,
    ConvNextImageProcessor,
    EfficientNetConfig,
    EfficientNetForImageClassification,
    EfficientNetImageProcessor,
    LevitImageProcessor,
    MobileViTImageProcessor,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def published(path: Path, architecture: str, classes: int = 1000) -> Path:
    """Random weights under a name such as torchvision gives: with the start of their sha256."""
    torch.save(get_model(architecture, num_classes=classes).state_dict(), path / "w.pth")
    return (path / "w.pth").rename(path / f"{architecture}-{sha256(path / 'w.pth')[:8]}.pth")


def test_torchvision_description_follows_the_weights_metadata(tmp_path: Path) -> None:
    path = published(tmp_path, "resnet50")
    found = describe(path, "torchvision", "resnet50")
    weights = ResNet50_Weights.DEFAULT
    assert found.geometry == Geometry((224, 224), 232, "bilinear")
    assert (found.loader, found.architecture, found.weights) == ("torchvision", "resnet50", path.name)
    assert found.files == {path.name: path}
    assert found.labels["en"] == tuple(weights.meta["categories"])
    assert found.activation == "softmax"


def test_torchvision_has_no_labels_for_other_classes(tmp_path: Path) -> None:
    found = describe(published(tmp_path, "squeezenet1_1", classes=7), "torchvision", "squeezenet1_1")
    assert found.labels == {}


def test_imagenet_categories_get_chinese_labels_if_the_kit_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chinese = tmp_path / "zh.txt"
    monkeypatch.setattr(imagenet_labels, "IMAGENET_ZH", chinese)
    assert set(imagenet_labels.of_classes(1000)) == {"en"}
    chinese.write_text("".join(f"名{index}\n" for index in range(1000)), encoding="utf-8")
    assert imagenet_labels.of_classes(1000)["zh"][999] == "名999"
    assert set(imagenet_labels.imagenet(["cat"] * 1000)) == {"en"}
    assert imagenet_labels.of_classes(999) == {}


def vit(path: Path, processor: Any, **options: Any) -> Path:
    """A folder of transformers with a tiny ViT and the given processor."""
    config = ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, **options)
    ViTForImageClassification(config).save_pretrained(path)
    processor.save_pretrained(path)
    return path


NAMED = {"id2label": {0: "cat", 1: "dog"}, "label2id": {"cat": 0, "dog": 1}}


@pytest.mark.parametrize(
    ("processor", "geometry", "normal"),
    [
        (ViTImageProcessor(), Geometry((224, 224), None, "bilinear"), HALF),
        (ViTImageProcessor(size={"height": 96, "width": 64}, resample=3), Geometry((96, 64), None, "bicubic"), HALF),
        (
            BitImageProcessor(size={"shortest_edge": 256}, image_mean=IMAGENET[0], image_std=IMAGENET[1]),
            Geometry((224, 224), 256, "bicubic", "down"),
            IMAGENET,
        ),
        (ConvNextImageProcessor(size={"shortest_edge": 224}), Geometry((224, 224), 256, "bicubic", "down"), HALF),
        (ConvNextImageProcessor(size={"shortest_edge": 384}), Geometry((384, 384), None, "bicubic"), HALF),
        (LevitImageProcessor(), Geometry((224, 224), 256, "bicubic", "down"), IMAGENET),
        (BeitImageProcessor(size={"height": 224, "width": 224}), Geometry((224, 224), None, "bicubic"), HALF),
    ],
)
def test_transformers_description_follows_its_processor(
    tmp_path: Path, processor: Any, geometry: Geometry, normal: tuple[tuple[float, ...], ...]
) -> None:
    found = describe(vit(tmp_path / "m", processor, **NAMED))
    assert (found.loader, found.weights, found.architecture) == ("transformers", ".", "")
    assert (found.geometry, found.labels) == (geometry, {"en": ("cat", "dog")})
    assert np.allclose((found.mean, found.std), normal)
    assert set(found.files) == {"config.json", "preprocessor_config.json", "model.safetensors"}


def test_an_efficientnet_of_transformers_answers_as_its_library_does(tmp_path: Path) -> None:
    """Its processor, as that of google/efficientnet-b0, divides by std twice."""
    torch.manual_seed(0)
    config = EfficientNetConfig(
        image_size=32, width_coefficient=0.1, depth_coefficient=0.1, hidden_dim=128, num_labels=3
    )
    classifier = EfficientNetForImageClassification(config).eval()
    classifier.save_pretrained(tmp_path)
    std = [0.47853944, 0.4732864, 0.47434163]
    processor = EfficientNetImageProcessor(size={"height": 32, "width": 32}, image_mean=IMAGENET[0], image_std=std)
    processor.save_pretrained(tmp_path)
    found = describe(tmp_path)
    assert found.geometry == Geometry((32, 32), None, "bicubic")
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    library = processor(Image.fromarray(pixels), return_tensors="pt")["pixel_values"]
    own = (pixels / 255 - np.array(found.mean)) / np.array(found.std)
    assert np.abs(own - library[0].permute(1, 2, 0).numpy()).max() < 1e-6
    with torch.inference_mode():
        logits = classifier(torch.from_numpy(own).float().permute(2, 0, 1)[None]).logits
        assert torch.allclose(logits, classifier(library).logits, atol=1e-4)


def test_a_network_that_takes_bgr_is_wrapped_to_take_rgb(tmp_path: Path) -> None:
    processor = MobileViTImageProcessor(size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224})
    path = vit(tmp_path / "m", processor)
    found = describe(path)
    assert found.geometry == Geometry((224, 224), 256, "bicubic", "down")
    assert (found.mean, found.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_transformers_without_names_and_with_several_answers(tmp_path: Path) -> None:
    path = vit(tmp_path / "m", ViTImageProcessor(), num_labels=5, problem_type="multi_label_classification")
    found = describe(path)
    assert (found.labels, found.activation) == ({}, "sigmoid")


def test_a_hugging_face_cache_is_followed_by_its_main_reference(tmp_path: Path) -> None:
    model = tmp_path / "models--org--name"
    revision = "0123456789abcdef0123456789abcdef01234567"
    vit(model / "snapshots" / revision, ViTImageProcessor(), **NAMED)
    (model / "blobs").mkdir()
    for file in (model / "snapshots" / revision).iterdir():  # as the hub's library lays them down
        blob = file.rename(model / "blobs" / sha256(file))
        file.symlink_to(f"../../blobs/{blob.name}")
    (model / "refs").mkdir()
    (model / "refs/main").write_text(revision)
    found = describe(model)
    assert found.files["model.safetensors"] == model / "snapshots" / revision / "model.safetensors"
    assert found.labels == {"en": ("cat", "dog")}


def test_weights_in_parts_are_copied_with_their_index(tmp_path: Path) -> None:
    path = vit(tmp_path / "m", ViTImageProcessor())
    ViTForImageClassification.from_pretrained(path).save_pretrained(path, max_shard_size="20KB")
    (path / "model.safetensors").unlink(missing_ok=True)
    parts = {file.name for file in path.glob("model-*.safetensors")}
    assert len(parts) > 1
    assert set(describe(path).files) == {
        "config.json", "preprocessor_config.json", "model.safetensors.index.json", *parts
    }  # fmt: skip


@pytest.mark.parametrize(
    ("architecture", "geometry", "normal"),
    [
        ("vit_tiny_patch16_224", Geometry((224, 224), 248, "bicubic"), HALF),
        ("test_resnet", Geometry((160, 160), 168, "bilinear"), HALF),
    ],
)
def test_timm_description_follows_its_data_config(
    tmp_path: Path, architecture: str, geometry: Geometry, normal: tuple[tuple[float, ...], ...]
) -> None:
    network = timm.create_model(architecture, num_classes=1000)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    found = describe(tmp_path / "w.pth", "timm", architecture)
    assert (found.loader, found.architecture, found.weights) == ("timm", architecture, "w.pth")
    assert np.allclose((found.mean, found.std), normal)
    assert len(found.labels["en"]) == 1000
    assert found.geometry == geometry


def test_a_timm_folder_description_follows_its_config(tmp_path: Path) -> None:
    path = folders.timm_folder(tmp_path / "m")
    found = describe(path)
    assert (found.loader, found.architecture, found.weights) == ("timm", "test_vit", "model.safetensors")
    assert found.geometry == Geometry((folders.SIZE, folders.SIZE), 33, "bicubic")
    assert found.labels == {"en": ("cat", "dog", "tea")}
    assert set(found.files) == {"config.json", "model.safetensors"}


def test_modelscopes_resnest_has_its_labels_in_meta_info(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(3, 2)}, tmp_path / "pytorch_model.pt")
    (tmp_path / "meta_info.txt").write_text("0\t猫 \t1\n1\t狗\n2\t 茶\tx\n", encoding="utf-8")
    found = describe(tmp_path)
    assert (found.loader, found.architecture, found.weights) == ("modelscope", "resnest101e", "pytorch_model.pt")
    assert (found.geometry, found.labels) == (Geometry((224, 224), 256, "bilinear"), {"zh": ("猫", "狗", "茶")})
    assert (found.mean, found.std) == IMAGENET


def test_modelscopes_vit_has_its_labels_in_its_checkpoint(tmp_path: Path) -> None:
    found = describe(folders.openmmlab_folder(tmp_path / "m"))
    assert (found.loader, found.architecture) == ("modelscope", "vit_base_patch16_224")
    assert (found.geometry, found.labels) == (Geometry((224, 224), 256, "bicubic"), {"zh": ("猫", "狗", "茶")})
    assert (found.mean, found.std) == HALF


def test_a_checkpoint_has_its_architectures_preprocessing(tmp_path: Path) -> None:
    path = folders.checkpoint_folder(tmp_path / "m") / "last.th"
    found = describe(path, architecture="timm:test_resnet")
    assert (found.loader, found.architecture) == ("checkpoint", "timm:test_resnet")
    assert found.geometry == Geometry((160, 160), 168, "bilinear")
    assert found.files == {"last.th": path}


def test_a_checkpoint_has_as_many_classes_as_its_classifier_whatever_the_order_of_its_weights(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"  # which keeps them in the order of their names
    save_file(timm.create_model("test_efficientnet", num_classes=1000).state_dict(), path)
    assert len(describe(path, architecture="test_efficientnet").labels["en"]) == 1000


def test_a_users_own_network_is_copied_and_not_run(tmp_path: Path) -> None:
    found = describe(folders.code_folder(tmp_path / "m", trusted=False))
    assert (found.loader, set(found.files)) == ("checkpoint", {"own.pth", "network.py"})
    assert not (tmp_path / "m/ran").exists()


def test_exported_networks_give_their_input_size(tmp_path: Path) -> None:
    usual = Geometry((folders.SIZE, folders.SIZE), 37, "bilinear")
    made = {
        "onnx": (folders.onnx_folder, {"m.onnx", "m.onnx.data"}),
        "pt2": (folders.pt2_folder, {"m.pt2"}),
        "openvino": (folders.openvino_folder, {"model.xml", "model.bin"}),
    }
    for loader, (make, files) in made.items():
        path = make(tmp_path / loader)
        found = describe(path)
        assert (found.loader, found.geometry, set(found.files)) == (loader, usual, files)
        assert (found.mean, found.std) == IMAGENET
        assert describe(path / found.weights) == found


def test_a_config_that_fits_both_libraries_is_timms(tmp_path: Path) -> None:
    path = folders.timm_folder(tmp_path / "m")
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"model_type": "timm_wrapper"}))
    assert describe(path).loader == "timm"
