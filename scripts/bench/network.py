"""Weights in torchvision's layout, made without a download.

They are random, which is enough to measure speed. But quantisation adds so much noise to 18 random layers that its
agreement with f32 would be meaningless. Therefore three properties of trained networks are imitated: batch
normalisations with the statistics of images, residual branches that are small corrections, and a last layer that
separates images along the direction in which their features vary most.
"""

import torch

from scripts.models.tools.images import photo
from worker.models import torchvision_ops

torchvision_ops.make_importable()

from torchvision.models import get_model, get_model_weights  # noqa: E402 - importable only now
from torchvision.models.mobilenetv3 import InvertedResidual  # noqa: E402
from torchvision.models.resnet import BasicBlock  # noqa: E402

FIRST_SEED = 1_000_000  # far from the seeds of calibration and load
BRANCH_WEIGHT = 0.03  # of a residual branch's last normalisation, relative to the shortcut
SHARPNESS = 4.0  # logits per standard deviation
OTHER_LOGIT = -5.0  # of all other classes


def write(out: str, architecture: str, count: int) -> None:
    """Write the weights, the same on every machine up to rounding, with the statistics of `count` images."""
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    model: torch.nn.Module = get_model(architecture, weights=None)
    last = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
    for module in model.modules():
        if isinstance(module, BasicBlock):
            torch.nn.init.constant_(module.bn2.weight, BRANCH_WEIGHT)
        if isinstance(module, InvertedResidual) and module.use_res_connect:
            torch.nn.init.constant_(module.block[-1][1].weight, BRANCH_WEIGHT)
    model.eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # a cumulative average, here of one step
            module.train()
    transforms = get_model_weights(architecture).DEFAULT.transforms()
    images = torch.stack([transforms(photo(FIRST_SEED + number)) for number in range(count)])
    model(images)  # sets the statistics of the normalisations
    model.eval()
    features: list[torch.Tensor] = []
    last.register_forward_hook(lambda _, inputs, __: features.append(inputs[0]))
    model(images)
    _separate(last, features[0])
    torch.save(model.state_dict(), out)


def _separate(last: torch.nn.Linear, features: torch.Tensor) -> None:
    """Make the first two classes the two ends of the first principal component of `features` [images, features]."""
    centre = features.mean(0)
    _, singular_values, axes = torch.linalg.svd(features - centre, full_matrices=False)
    direction = axes[0] * SHARPNESS * len(features) ** 0.5 / singular_values[0]
    last.weight.zero_()
    last.bias.fill_(OTHER_LOGIT)
    for number, end in enumerate((direction, -direction)):
        last.weight[number], last.bias[number] = end, -end @ centre
