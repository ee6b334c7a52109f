"""What the servers that run torchvision's network in torch f32 share."""

import io
import os
from collections.abc import Callable
from typing import Any

import torch
from PIL import Image

from worker.models import torchvision_ops

torchvision_ops.make_importable()

from torchvision import models, transforms  # noqa: E402 - importable only now

ARCHITECTURE = os.environ["BENCH_ARCHITECTURE"]


def network() -> Any:
    """Return torchvision's network with the bench's weights: eager, f32."""
    built = models.get_model(ARCHITECTURE)
    built.load_state_dict(torch.load(os.environ["BENCH_WEIGHTS"], weights_only=True))
    return built.eval()


def transform() -> Any:
    """Return the preprocessing of nearly every tutorial for ImageNet classifiers."""
    normalise = transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
    return transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(), normalise])


def preprocessing() -> Callable[[bytes], Any]:
    """Return the function from an image file to the network's input, float32 [3, H, W]."""
    steps = transform()
    return lambda file: steps(Image.open(io.BytesIO(file)).convert("RGB"))


def categories() -> list[str]:
    """Return the labels of ImageNet's classes, in their order."""
    return list(models.get_model_weights(ARCHITECTURE).DEFAULT.meta["categories"])
