"""The demo's network: a small residual net, about 1.1 million weights, plain 3x3 convolutions.

Dense convolutions on purpose: on a CPU they train twice as fast as depthwise ones of the same accuracy.
"""

import torch
from torch import Tensor, nn

from scripts.demo.decode import MEAN, STD

STEM = 24
WIDTHS = (40, 80, 80, 160, 160)  # a block that widens after the first also halves the picture


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """ResNet's basic block: two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(inputs, outputs, 3, stride), nn.ReLU(inplace=True), convolution(outputs, outputs, 3)
        )
        plain = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if plain else convolution(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def build(classes: int) -> nn.Sequential:
    """Normalised float32 [N, 3, SIZE, SIZE] to logits [N, classes]."""
    layers: list[nn.Module] = [convolution(3, STEM, 3, 2), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    before = STEM
    for place, width in enumerate(WIDTHS):
        layers.append(Residual(before, width, 2 if place and width > before else 1))
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


def normalise(pixels: Tensor) -> Tensor:
    """uint8 [N, SIZE, SIZE, 3] to normalised float32 [N, 3, SIZE, SIZE], channels last in memory."""
    x = pixels.permute(0, 3, 1, 2).float().div_(255)
    return x.sub_(torch.tensor(MEAN).view(1, 3, 1, 1)).div_(torch.tensor(STD).view(1, 3, 1, 1))
