"""Adapt the first layer of a network made for RGB to images with another number of channels.

The method is timm's (adapt_input_conv): for one channel, the weights of the three are added, so that a grey image gives
the same result as three equal channels; for several, the weights are repeated in turn and scaled to the same sum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

from worker.contract.loaders import LOADERS, loaders_with
from worker.contract.toml_reader import ModelError
from worker.models.folder import ModelFolder
from worker.models.loaders import Description

if TYPE_CHECKING:
    import torch

GREY, RGB = 1, 3
CHANNEL_ATTRIBUTES = (
    "num_channels",
    "in_chans",
    "in_channels",
)  # attributes in which networks store the number and check it
TEST_SIDE = 64  # pixels per side of the random image that tests an adapted layer
TOLERANCE = 1e-3


def adapt_description(description: Description, channels: int) -> Description:
    """Return `description` for images with `channels` channels. Raise ModelError if its loader cannot adapt them."""
    if channels == len(description.mean):
        return description
    if not LOADERS[description.loader].can_refit:
        raise ModelError(
            f"CHANNELS: found {channels}, but networks of loader {description.loader} "
            f"always take {len(description.mean)}; {', '.join(loaders_with(can_refit=True))} can be adapted"
        )
    return replace(
        description, mean=normalisation(description.mean, channels), std=normalisation(description.std, channels)
    )


def normalisation(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """Return the mean or std `values` for another number of `channels`: averaged for grey, else repeated in turn."""
    if channels == GREY and len(values) > GREY:
        return (fmean(values),)
    return tuple(values[number % len(values)] for number in range(channels))


def channels_of(network: "torch.nn.Module", state: Mapping[str, "torch.Tensor"]) -> int:
    """Return the number of channels that the weights `state` take, for a `network` built for RGB.

    Return RGB if the weights of the first layer differ in more than that number.
    """
    for name, layer in _first_layers(network):
        if (weights := state.get(f"{name}.weight")) is not None and weights.ndim == layer.weight.ndim:
            outputs, channels, *kernel = weights.shape
            return channels if (outputs, *kernel) == (len(layer.weight), *layer.kernel_size) else RGB
    return RGB


def match_weights(network: "torch.nn.Module", state: Mapping[str, "torch.Tensor"]) -> None:
    """Adapt `network` to the number of channels of the weights `state`, before they are loaded."""
    if (channels := channels_of(network, state)) != RGB:
        _refit(network, channels)


def fit(network: "torch.nn.Module", folder: ModelFolder) -> None:
    """Adapt `network` to the number of channels in model.toml. Raise ModelError if that is impossible."""
    import torch

    if not LOADERS[folder.loader].can_refit or (folder.loader == "checkpoint" and not folder.architecture):
        return  # an exported network, or the user's own, stays as it is
    channels = folder.input.pixels.channels
    first = next((layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)), None)
    if channels == RGB or (first is not None and first.in_channels == channels):
        return
    layers = [layer for _, layer in _first_layers(network)]
    sample = torch.rand(1, channels, TEST_SIDE, TEST_SIDE)
    with torch.inference_mode():
        expected = [layer(torch.einsum("nihw,ic->nchw", sample, _rgb_shares(channels))) for layer in layers]
        _refit(network, channels)
        equal = [
            torch.allclose(layer(sample), output, TOLERANCE, TOLERANCE)
            for layer, output in zip(layers, expected, strict=True)
        ]
    if not equal or not all(equal):  # some layers transform their weights, such as weight standardisation
        kind = type(first).__name__ if first is not None else "none"
        raise ModelError(
            f"{folder.path}: its first convolution ({kind}) cannot be adapted to {channels} channels; "
            f"set [input] channels to what it takes, and send it such images"
        )


def _first_layers(network: "torch.nn.Module") -> list[tuple[str, "torch.nn.Conv2d"]]:
    """Return the convolutions that take RGB, with their names: usually one; some networks begin with branches."""
    import torch

    named = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, torch.nn.Conv2d)]
    if not named or named[0][1].in_channels != RGB:
        return []
    return [(name, layer) for name, layer in named if layer.in_channels == RGB and layer.groups == 1]


def _refit(network: "torch.nn.Module", channels: int) -> None:
    import torch

    for _, layer in _first_layers(network):
        weights = torch.einsum("ochw,ic->oihw", layer.weight.detach(), _rgb_shares(channels))
        layer.weight = torch.nn.Parameter(weights, requires_grad=False)
    for module in network.modules():
        for name in CHANNEL_ATTRIBUTES:
            if vars(module).get(name) == RGB:
                setattr(module, name, channels)


def _rgb_shares(channels: int) -> "torch.Tensor":
    """Return the shares of red, green and blue that each channel stands for: float32 [channels, 3]."""
    import torch

    if channels == GREY:
        return torch.ones(1, RGB)
    return torch.eye(RGB)[[number % RGB for number in range(channels)]] * (RGB / channels)
