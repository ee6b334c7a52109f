"""Translate weights of efficientnet_pytorch, and of its fork efficientnet_lite_pytorch, to timm's names.

Both pad as TensorFlow does, so their networks are timm's tf_efficientnet_*. The efficientnet_* of timm and torchvision
have weights of the same shapes, but pad evenly and would give other answers.
"""

import re
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from worker.contract.toml_reader import ModelError, abbreviate
from worker.models.loaders.fit import SURPLUS

State = Mapping[str, torch.Tensor]

STEM = "_conv_stem.weight"
PROJECTION = re.compile(r"_blocks\.(\d+)\._project_conv\.weight")
# By the number of blocks, the width of the last one, and whether they use squeeze-and-excitation: unique per variant.
VARIANTS = {
    (16, 320, True): "b0", (23, 320, True): "b1", (23, 352, True): "b2", (26, 384, True): "b3", (32, 448, True): "b4",
    (39, 512, True): "b5", (45, 576, True): "b6", (55, 640, True): "b7", (61, 704, True): "b8",
    (16, 320, False): "lite0", (21, 320, False): "lite1", (21, 352, False): "lite2", (24, 384, False): "lite3",
    (30, 448, False): "lite4",
}  # fmt: skip

# timm's names of the layers. timm numbers the layers of a block from the first it has, so that the names in a block
# without an expansion differ.
LAYERS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
WRAPPED_HEADS = {"_fc", "_fc.0", "_fc.1"}  # alone, or in a Sequential with dropout
SQUEEZE = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
WITHOUT_EXPANSION = SQUEEZE | {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
WITH_EXPANSION = SQUEEZE | {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
    "_project_conv": "conv_pwl", "_bn2": "bn3",
}  # fmt: skip

# The preprocessing is that of timm's configuration, with which TensorFlow evaluates these weights. The examples of
# efficientnet_pytorch crop without a margin; its README attributes a loss of 0.3 points of b3's top-1 to that.
# For lite3 and lite4 timm uses 300 and 380 pixels; the fork uses TensorFlow's sizes, and TensorFlow a margin of 32.
SIZES = {"lite3": 280, "lite4": 300}
MARGIN = 32
# Weights trained with AdvProp are published under this prefix and need this mean and std.
ADVPROP, HALF = "adv-", (0.5, 0.5, 0.5)
OWN_NETWORK_REMEDY = "for a network of your own, put a network.py next to the weights"


def is_efficientnet_pytorch(state: State) -> bool:
    """Return whether the keys of `state` are efficientnet_pytorch's."""
    return STEM in _own_names(state)


def to_timm(architecture: str, state: State, path: Path) -> tuple[str, State, dict[str, Any]]:
    """Return timm's name of the architecture, `state` with timm's keys, and the differences from timm's configuration.

    If `architecture` is "", the weights determine it. A `state` with other keys is returned unchanged. Raise
    ModelError, naming `path`, if the weights belong to another architecture or to an unknown one.
    """
    if not is_efficientnet_pytorch(state):
        return architecture, state, {}
    state = _own_names(state)
    variant = _variant(state, path)
    name, dot, tag = architecture.partition(".")
    if name and name.replace("-", "_").removeprefix("tf_") != f"efficientnet_{variant}":
        raise ModelError(
            f"{path}: found the weights of efficientnet-{variant}, needed those of {architecture}: "
            "correct the architecture, or leave it out"
        )
    overrides: dict[str, Any] = {}
    if size := SIZES.get(variant):
        overrides |= {"input_size": (3, size, size), "crop_pct": size / (size + MARGIN)}
    if path.name.startswith(ADVPROP):
        overrides |= {"mean": HALF, "std": HALF}
    return f"tf_efficientnet_{variant}{dot}{tag}", _with_timm_names(state, path), overrides


def _own_names(state: State) -> State:
    """Return `state` without a prefix such as Lightning's, and without the weights of losses beside it."""
    prefix = next((key.removesuffix(STEM) for key in state if key.endswith(STEM)), "")
    return {
        key.removeprefix(prefix): value
        for key, value in state.items()
        if key.startswith(prefix) or not SURPLUS.search(key)
    }


def _variant(state: State, path: Path) -> str:
    widths = _widths(state)
    last_width = widths[-1] if widths else 0
    squeezes = any("._se_reduce." in key for key in state)
    if variant := VARIANTS.get((len(widths), last_width, squeezes)):
        return variant
    raise ModelError(
        f"{path}: found the names of efficientnet_pytorch, but {len(widths)} blocks, the last {last_width} wide, "
        f"{'with' if squeezes else 'without'} squeeze-and-excitation; needed one of {', '.join(VARIANTS.values())}: "
        f"{OWN_NETWORK_REMEDY}"
    )


def _widths(state: State) -> list[int]:
    """Return the number of output channels of each block, in order."""
    widths = {
        int(match[1]): max(value.shape[:1], default=0)
        for key, value in state.items()
        if (match := PROJECTION.fullmatch(key))
    }
    return [widths[number] for number in sorted(widths)]


def _with_timm_names(state: State, path: Path) -> State:
    layers = _layers(state)
    split = {key: key.rpartition(".") for key in state}
    if unknown := [key for key, (layer, _, _) in split.items() if layer not in layers]:
        raise ModelError(
            f"{path}: found {abbreviate(unknown)}, needed only the layers of efficientnet_pytorch: {OWN_NETWORK_REMEDY}"
        )
    return {f"{layers[layer]}.{kind}": state[key] for key, (layer, _, kind) in split.items()}


def _layers(state: State) -> Mapping[str, str]:
    """Return timm's name of every layer by efficientnet_pytorch's name."""
    # timm numbers blocks within stages. All blocks of a stage have the same width, and it differs between stages.
    stages = enumerate(list(widths) for _, widths in groupby(_widths(state)))
    timm_blocks = [f"blocks.{stage}.{index}" for stage, widths in stages for index in range(len(widths))]
    layers = dict(LAYERS)
    heads = {key.rpartition(".")[0] for key in state if key.startswith("_fc.")}
    if len(heads) == 1 and heads <= WRAPPED_HEADS:
        layers |= {heads.pop(): LAYERS["_fc"]}
    for number, timm_block in enumerate(timm_blocks):
        block = f"_blocks.{number}"
        names = WITH_EXPANSION if f"{block}._expand_conv.weight" in state else WITHOUT_EXPANSION
        layers |= {f"{block}.{name}": f"{timm_block}.{timm_name}" for name, timm_name in names.items()}
    return layers
