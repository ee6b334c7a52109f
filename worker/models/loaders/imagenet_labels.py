"""Labels that come with the kit."""

from collections.abc import Mapping, Sequence
from pathlib import Path

IMAGENET_CLASSES = 1000
IMAGENET_ZH = Path(__file__).parents[2] / "imagenet/imagenet-1k.zh.txt"


def imagenet(english: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """`english`, and Chinese beside it when these are the 1,000 categories of ImageNet in torchvision's order."""
    labels = {"en": tuple(english)}
    if tuple(english) == _categories() and IMAGENET_ZH.is_file():
        labels["zh"] = tuple(IMAGENET_ZH.read_text(encoding="utf-8").splitlines())
    return labels


def of_classes(classes: int) -> Mapping[str, tuple[str, ...]]:
    """ImageNet's names for a network with as many outputs; none for another."""
    return imagenet(_categories()) if classes == IMAGENET_CLASSES else {}


def _categories() -> tuple[str, ...]:
    from torchvision.models import ResNet18_Weights

    return tuple(ResNet18_Weights.DEFAULT.meta["categories"])
