"""The settings of a server under test, and the code that several of them share."""

import os
from collections.abc import Callable
from typing import Any

PORT = int(os.environ.get("BENCH_PORT", "0"))
TOP = 5


def network() -> Any:
    """Return torchvision's network with the bench's weights: eager, f32."""
    import torch

    _make_torchvision_importable()
    from torchvision.models import get_model

    built = get_model(os.environ["BENCH_ARCHITECTURE"])
    built.load_state_dict(torch.load(os.environ["BENCH_WEIGHTS"], weights_only=True))
    return built.eval()


def transforms() -> Callable[[Any], Any]:
    """Return the preprocessing of nearly every tutorial for ImageNet classifiers."""
    _make_torchvision_importable()
    from torchvision import transforms

    steps = [
        transforms.Resize(256),
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
    ]
    composed: Callable[[Any], Any] = transforms.Compose(steps)
    return composed


def categories() -> list[str]:
    """Return the labels of ImageNet's classes, in their order."""
    _make_torchvision_importable()
    from torchvision.models import get_model_weights

    return list(get_model_weights(os.environ["BENCH_ARCHITECTURE"]).DEFAULT.meta["categories"])


def _make_torchvision_importable() -> None:
    from worker.models import torchvision_ops

    torchvision_ops.make_importable()
