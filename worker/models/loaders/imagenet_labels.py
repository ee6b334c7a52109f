"""The ImageNet labels that are part of the kit. torchvision, which has the English ones, is imported on demand."""

from collections.abc import Mapping, Sequence
from pathlib import Path

IMAGENET_CLASSES = 1000
IMAGENET_ZH = Path(__file__).parents[2] / "imagenet/imagenet-1k.zh.txt"


def imagenet(english: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Return the labels by language: `english`, and Chinese if they are ImageNet's 1,000 in torchvision's order."""
    labels = {"en": tuple(english)}
    if len(english) == IMAGENET_CLASSES and tuple(english) == _categories() and IMAGENET_ZH.is_file():
        labels["zh"] = tuple(IMAGENET_ZH.read_text(encoding="utf-8").splitlines())
    return labels


def of_classes(classes: int) -> Mapping[str, tuple[str, ...]]:
    """Return ImageNet's labels by language if `classes` is 1,000, else {}."""
    return imagenet(_categories()) if classes == IMAGENET_CLASSES else {}


def _categories() -> tuple[str, ...]:
    from worker.models import torchvision_ops

    torchvision_ops.make_importable()
    from torchvision.models import ResNet18_Weights

    return tuple(ResNet18_Weights.DEFAULT.meta["categories"])
