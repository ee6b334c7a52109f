"""Say what to do about weights that do not fit the architecture that was named: which one they fit, or what differs."""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import torch
from torchvision import models

from worker.contract.loaders.checkpoint import NETWORK_CODE
from worker.contract.toml_reader import ModelError, abbreviate
from worker.models.loaders import fit
from worker.models.loaders.adapters import refuse_adapter
from worker.models.loaders.imagenet_labels import IMAGENET_CLASSES

# timm's architectures that are often fine-tuned and that torchvision lacks or names its weights differently in.
COMMON_TIMM = (
    "vit_tiny_patch16_224", "vit_small_patch16_224", "vit_base_patch16_224", "vit_base_patch32_224",
    "deit_tiny_patch16_224", "deit_small_patch16_224", "deit_base_patch16_224", "swin_tiny_patch4_window7_224",
    "swin_base_patch4_window7_224", "convnext_tiny", "convnext_small", "convnext_base", "convnextv2_tiny",
    "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4",
    "efficientnetv2_rw_s", "mobilenetv2_100", "mobilenetv3_large_100", "mobilenetv3_small_100", "resnet18", "resnet34",
    "resnet50", "resnet50d", "seresnext50_32x4d", "resnest50d", "densenet121", "ghostnet_100", "regnety_004",
    "mobilevit_s", "vgg16", "inception_v3", "xception",
)  # fmt: skip
FAMILY = re.compile(r"^[a-z]+(?:_v\d)?")  # of the name of an architecture of torchvision
MIN_SHARE = 0.3  # of the keys of an architecture that a state dict of its family has
NETWORK_REMEDY = (
    f"put a {NETWORK_CODE} beside the weights, whose build(classes) returns the network that was trained, "
    "and set TRUST_CODE=1 with SOURCE= their folder"
)


def check_fit(network: torch.nn.Module, state: fit.State, path: Path, architecture: str) -> None:
    """Raise ModelError, with a remedy, unless `state` fits `network`, which is built for ImageNet's classes.

    `state` may have another number of classes.
    """
    expected = network.state_dict()
    differences = fit.differences(expected, state, IMAGENET_CLASSES)
    if not differences:
        return
    refuse_adapter(state, path)
    raise ModelError(f"{path}: does not fit {architecture}{_reason(expected, state, path, architecture, differences)}")


def _reason(expected: fit.State, state: fit.State, path: Path, architecture: str, differences: str) -> str:
    missing, unexpected = fit.other_head(expected, state)
    if missing and not unexpected:
        last = abbreviate(missing, 2)
        return f": {differences}; its last layer {last} is not in the file: needed the weights of a whole classifier"
    if missing:
        others = f"{abbreviate(unexpected, 2)} in place of {abbreviate(missing, 2)}"
        return f": {differences}; its last layers are others than {architecture}'s, {others}: {NETWORK_REMEDY}"
    if name := fitting_architecture(state, path):
        return f", but {name}: set ARCHITECTURE={name}"
    return f": {differences}; set the right ARCHITECTURE=, or {NETWORK_REMEDY}"


def fitting_architecture(state: fit.State, path: Path) -> str:
    """Return the name of an architecture of torchvision, or a common one of timm, that `state` fits, "" if none."""
    for name, expected in _candidates(state, path):
        try:
            renamed, _ = fit.aligned(expected, state, path)
        except ModelError:  # two networks in one file
            continue
        if not fit.differences(expected, renamed, IMAGENET_CLASSES):
            return name
    return ""


def fitting_keys(expected: fit.State, state: fit.State, path: Path) -> int:
    """Return how many keys of `state` are also in `expected`, after renaming."""
    return len(expected.keys() & fit.aligned(expected, state, path)[0].keys())


def torchvision_keys(name: str) -> fit.State:
    """Return the state dict of torchvision's architecture `name` without memory for its tensors, {} if impossible."""
    keywords = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    try:
        with torch.device("meta"):
            return dict(models.get_model(name, weights=None, **keywords).state_dict())
    except Exception:  # some compute their layers' widths with tensors
        return {}


def timm_keys(name: str) -> fit.State:
    """Return the state dict of timm's architecture `name` without memory for its tensors, {} if impossible."""
    import timm  # imported here because that takes a second, and weights that fit need no suggestion

    try:
        with torch.device("meta"):
            return dict(timm.create_model(name).state_dict())
    except Exception:  # as above
        return {}


def _candidates(state: fit.State, path: Path) -> Iterator[tuple[str, fit.State]]:
    """Yield the name and the state dict of each architecture of a family whose first one has many keys of `state`."""
    if not state:
        return
    for _, family in groupby(models.list_models(module=models), FAMILY.findall):
        for name in family:
            expected = torchvision_keys(name)
            if not expected or fitting_keys(expected, state, path) < MIN_SHARE * min(len(expected), len(state)):
                break
            yield name, expected
    for name in COMMON_TIMM:
        yield f"timm:{name}", timm_keys(name)
