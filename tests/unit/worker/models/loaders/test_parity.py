"""The pixels that a network sees against those of its library's own preparation, both brought back to grey levels.

Where nothing is cut off they are the same bit for bit. Where scaling and cutting are one step here and two in the
library, they are within one grey level.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests import images
from worker.contract.toml_reader import ModelError
from worker.decode import Geometry, decode
from worker.models import torchvision_ops
from worker.models.loaders import image_processor

torchvision_ops.make_importable()
import transformers  # noqa: E402
from timm.data import create_transform, resolve_data_config  # noqa: E402
from timm.models import get_pretrained_cfg  # noqa: E402
from torchvision import models  # noqa: E402

from worker.models.loaders import timm, torchvision  # noqa: E402

Prepared = tuple[Geometry, tuple[float, ...], tuple[float, ...]]
SIZES = [
    (500, 375), (333, 500), (300, 300), (257, 256), (255, 301), (224, 224), (223, 225), (97, 64), (1, 1), (90, 400),
    (500, 61), (448, 224), (29, 2),
]  # fmt: skip
ANY_PATH = Path("m")


@cache
def image_files() -> list[tuple[Image.Image, bytes]]:
    """Return an image of each of SIZES, smooth or full of edges, and its file."""
    edges = (np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8) for size in SIZES)
    found = [*map(images.photo, SIZES), *map(Image.fromarray, edges)]
    return [(image, images.encoded(image, "BMP")) for image in found]


def differences(found: Prepared, library: Callable[[Image.Image], Any]) -> list[float]:
    """How far the pixels of each image are from the library's float [3, H, W]."""
    geometry, *normal = found
    mean, std = (np.array(values).reshape(-1, 1, 1) for values in normal)
    furthest = []
    for image, file in image_files():
        expected = (np.asarray(library(image), np.float64) * std + mean) * 255
        pixels = decode(file, geometry, exact=True).transpose(2, 0, 1)
        assert pixels.shape == expected.shape
        furthest.append(float(np.abs(pixels - expected).max()))
    return furthest


@pytest.mark.parametrize(
    "name",
    [
        "ResNet18_Weights.IMAGENET1K_V1", "ResNet50_Weights.IMAGENET1K_V2", "MobileNet_V3_Large_Weights.IMAGENET1K_V2",
        "ViT_B_16_Weights.IMAGENET1K_V1", "EfficientNet_B0_Weights.IMAGENET1K_V1", "Swin_T_Weights.IMAGENET1K_V1",
        "Inception_V3_Weights.IMAGENET1K_V1",
    ],
)  # fmt: skip
def test_torchvisions_preprocessing_within_one_grey_level(name: str) -> None:
    weights = models.get_weight(name)
    assert max(differences(torchvision.preprocessing(weights), weights.transforms())) < 1.01


def timm_pair(architecture: str, **changes: Any) -> tuple[Prepared, Callable[[Image.Image], Any]]:
    settings = {**get_pretrained_cfg(architecture).to_dict(), **changes}
    library = create_transform(**resolve_data_config(pretrained_cfg=settings), is_training=False)
    return timm.preprocessing(settings, ANY_PATH), library


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        ("resnet18", {}),
        ("vit_tiny_patch16_224", {}),
        ("test_resnet", {}),
        ("efficientnet_b0", {}),
        ("resnest101e", {}),
        ("convnext_atto", {"crop_pct": 0.95}),
        ("resnet18", {"crop_mode": "squash", "crop_pct": 0.9}),
        ("resnet18", {"input_size": (3, 160, 224), "crop_mode": "squash", "crop_pct": 0.875}),
    ],
)
def test_timms_preprocessing_within_one_grey_level(architecture: str, changes: dict[str, Any]) -> None:
    assert max(differences(*timm_pair(architecture, **changes))) < 1.01


def test_timms_preprocessing_is_exact_without_a_crop() -> None:
    assert max(differences(*timm_pair("vit_tiny_patch16_224", crop_mode="squash", crop_pct=1.0))) < 1e-3


@pytest.mark.parametrize(
    "changes", [{"crop_mode": "border"}, {"input_size": (3, 160, 224)}], ids=["border", "not square"]
)
def test_timm_preprocessing_that_input_cannot_express_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"cannot be expressed in model\.toml"):
        timm_pair("resnet18", **changes)


def of_transformers(family: str, **settings: Any) -> tuple[Any, Prepared]:
    processor = getattr(transformers, f"{family}ImageProcessorPil")(**settings)
    return processor, image_processor.preprocessing(processor, ANY_PATH)


def processed_by(processor: Any) -> Callable[[Image.Image], Any]:
    def library(image: Image.Image) -> np.ndarray:
        pixels = np.asarray(processor(image, return_tensors="np")["pixel_values"][0])
        return pixels[::-1] if image_processor.flips(processor) else pixels

    return library


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("ViT", {}),
        ("ViT", {"size": {"height": 96, "width": 64}, "resample": 3}),
        ("Beit", {}),
        ("Pvt", {}),
        ("Siglip", {}),
        ("Segformer", {"size": {"height": 128, "width": 128}}),
        ("ConvNext", {"size": {"shortest_edge": 384}}),
        ("DeiT", {"size": {"height": 224, "width": 224}}),
        ("EfficientNet", {"image_std": [0.47853944, 0.4732864, 0.47434163], "size": {"height": 224, "width": 224}}),
        ("EfficientNet", {"rescale_factor": 1 / 127.5, "rescale_offset": True, "size": {"height": 64, "width": 64}}),
        ("EfficientNet", {"rescale_offset": True, "include_top": False, "size": {"height": 64, "width": 64}}),
        ("EfficientNet", {"do_normalize": False, "size": {"height": 64, "width": 64}}),
    ],
)
def test_transformers_preprocessing_is_exact_without_a_crop(family: str, settings: dict[str, Any]) -> None:
    processor, prepared = of_transformers(family, **settings)
    assert prepared[0].resize is None
    assert max(differences(prepared, processed_by(processor))) < 1e-3


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("DeiT", {}),
        ("DeiT", {"size": {"height": 250, "width": 301}, "crop_size": {"height": 199, "width": 224}}),
        ("ConvNext", {"size": {"shortest_edge": 224}}),
        ("CLIP", {}),
        ("Bit", {"size": {"shortest_edge": 256}}),
        ("Levit", {}),
        ("MobileNetV1", {}),
        ("MobileNetV2", {"size": {"shortest_edge": 255}}),
        ("MobileViT", {"size": {"shortest_edge": 288}, "crop_size": {"height": 256, "width": 256}}),
        ("PoolFormer", {}),
        ("PoolFormer", {"size": {"height": 192, "width": 224}, "crop_size": {"height": 192, "width": 224}}),
    ],
)
def test_transformers_preprocessing_within_one_grey_level(family: str, settings: dict[str, Any]) -> None:
    processor, prepared = of_transformers(family, **settings)
    assert prepared[0].rounding == "down"
    assert max(differences(prepared, processed_by(processor))) < 1.01


@pytest.mark.parametrize(
    ("family", "settings", "reason"),
    [
        (
            "ViT",
            {"do_resize": False},
            "its processor does not resize, so the network's input size is unknown; set do_resize",
        ),
        (
            "MobileViT",
            {},
            "its processor crops (256, 256) from images of 224, which it pads; needed a smaller crop",
        ),
        (
            "CLIP",
            {"do_center_crop": False},
            "its processor keeps each image's aspect ratio ({'shortest_edge': 224}); needed one fixed size",
        ),
        (
            "CLIP",
            {"size": {"shortest_edge": 224, "longest_edge": 300}},
            "its processor keeps each image's aspect ratio ({'longest_edge': 300, 'shortest_edge': 224}); "
            "needed one fixed size",
        ),
        (
            "Perceiver",
            {"size": {"height": 256, "width": 256}, "crop_size": {"height": 224, "width": 224}},
            "its processor, PerceiverImageProcessorPil, prepares images in a way that [input] cannot express; "
            "needed one that scales them and then crops their centre",
        ),
        (
            "TextNet",
            {"do_center_crop": True, "size": {"shortest_edge": 250}},
            "its processor, TextNetImageProcessorPil, prepares images in a way that [input] cannot express; "
            "needed one that scales them and then crops their centre",
        ),
    ],
)
def test_transformers_preprocessing_that_input_cannot_express_is_refused(
    family: str, settings: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ModelError) as caught:
        of_transformers(family, **settings)
    assert str(caught.value) == f"m: {reason}"


def test_a_grey_network_of_transformers_has_one_mean_and_std() -> None:
    processor = transformers.ViTImageProcessorPil(image_mean=[0.1], image_std=[0.3], size={"height": 28, "width": 28})
    geometry, mean, std = image_processor.preprocessing(processor, ANY_PATH, 1)
    assert geometry == Geometry((28, 28), None, "bilinear")
    assert np.allclose((mean, std), ((0.1,), (0.3,)))
