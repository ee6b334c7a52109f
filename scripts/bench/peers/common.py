"""The settings of a server under test, and the code that several of them share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

PORT = int(os.environ.get("BENCH_PORT", "0"))
TOP = 5


def network() -> Any:
    """Return torchvision's network with the bench's weights: eager, f32."""
    import torch

    from worker.models import torchvision_ops

    torchvision_ops.make_importable()
    from torchvision.models import get_model

    built = get_model(os.environ["BENCH_ARCHITECTURE"])
    built.load_state_dict(torch.load(os.environ["BENCH_WEIGHTS"], weights_only=True))
    return built.eval()


def transforms() -> Callable[[Any], Any]:
    """Return the preprocessing of nearly every tutorial for ImageNet classifiers."""
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
    """Return the labels of the classes, in their order."""
    return (Path(os.environ["BENCH_FOLDER"]) / "labels.en.txt").read_text(encoding="utf-8").splitlines()
