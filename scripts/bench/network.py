"""`python -m scripts.bench.network`: a classifier's weights in torchvision's layout, without anything fetched.

The weights are random, so speed is all that they can show of a model; but quantisation adds so much noise to 18
random layers that its agreement with f32 would say nothing. Hence three things that training would bring: what the
normalisations have to know of images, residual branches that correct instead of drowning what they are added to,
and a last layer that tells images apart along the direction in which they differ most.
"""

import argparse
from pathlib import Path

import torch

from scripts.models.tools.images import photo
from worker.models import torchvision_ops

torchvision_ops.make_importable()

from torchvision.models import get_model, get_model_weights  # noqa: E402 - importable only now
from torchvision.models.mobilenetv3 import InvertedResidual  # noqa: E402
from torchvision.models.resnet import BasicBlock  # noqa: E402

IMAGES = 48
FIRST_SEED = 1_000_000  # far from those that calibration and load use
BRANCH = 0.03  # weight of a residual branch's last normalisation, of 1 for the sum's other part
SHARPNESS = 4.0  # logits of one standard deviation
REST = -5.0  # the logit of all other classes


def network(architecture: str) -> torch.nn.Module:
    """The network, the same on every machine up to rounding."""
    torch.manual_seed(0)
    built: torch.nn.Module = get_model(architecture, weights=None)
    for module in built.modules():
        if isinstance(module, BasicBlock):
            torch.nn.init.constant_(module.bn2.weight, BRANCH)
        if isinstance(module, InvertedResidual) and module.use_res_connect:
            torch.nn.init.constant_(module.block[-1][1].weight, BRANCH)
    transforms = get_model_weights(architecture).DEFAULT.transforms()
    images = torch.stack([transforms(photo(FIRST_SEED + number)) for number in range(IMAGES)])
    _normalise(built, images)
    _tell_apart(built, images)
    return built


def _normalise(built: torch.nn.Module, images: torch.Tensor) -> None:
    """Have every batch normalisation know the mean and variance of what `images` send through it."""
    built.eval()
    for module in built.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # an average over all that is seen, here in one step
            module.train()
    with torch.no_grad():
        built(images)
    built.eval()


def _tell_apart(built: torch.nn.Module, images: torch.Tensor) -> None:
    """Two classes, one for either end of the direction in which the features of `images` vary most."""
    last = [module for module in built.modules() if isinstance(module, torch.nn.Linear)][-1]
    seen: list[torch.Tensor] = []
    hook = last.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    with torch.no_grad():
        built(images)
        hook.remove()
        centre = seen[0].mean(0)
        _, spread, axes = torch.linalg.svd(seen[0] - centre, full_matrices=False)
        end = axes[0] * SHARPNESS * len(images) ** 0.5 / spread[0]
        last.weight.zero_()
        last.bias.fill_(REST)
        last.weight[0], last.bias[0] = end, -end @ centre
        last.weight[1], last.bias[1] = -end, end @ centre


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--architecture", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.save(network(options.architecture).state_dict(), options.out)
