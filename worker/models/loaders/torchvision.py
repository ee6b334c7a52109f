"""Load a state dict into any of torchvision's classification architectures."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torchvision import models

from worker.contract.files import sha256
from worker.contract.model_files import STATE_DICTS
from worker.contract.toml_reader import ModelError
from worker.decode import Geometry
from worker.models.folder import ModelFolder
from worker.models.loaders import Description, channels, detect, imagenet_labels
from worker.models.loaders.state_dict import load_weights, read_for, read_state_dict
from worker.models.loaders.suggestions import check_fit, fitting_architecture

ARCHITECTURES = models.list_models(module=models)  # the classifiers; models for other tasks are in submodules
DATE = r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\."
HASH_IN_NAME = re.compile(rf"-(?!{DATE})([0-9a-f]{{8,64}})\.")
# Their published weights need another value range than the published transforms produce.
TRAINING_BRANCHES = ("AuxLogits", "aux1", "aux2")  # of inception_v3 and googlenet
INPUT_TRANSFORMING = ("googlenet", "inception_v3")


def load(folder: ModelFolder) -> torch.nn.Module:
    """Return the network with the folder's weights and one output per label. Raise ModelError if they do not fit."""
    check_hash(folder.weights)
    network = build(folder.architecture, folder.output.labels.count, folder.path)
    if folder.architecture in INPUT_TRANSFORMING and _weights(folder.weights.name):
        network.transform_input = True
    state, _ = read_for(network, folder.weights)
    _drop_unused_branches(network, state)
    channels.match_weights(network, state)
    load_weights(network, state, folder.weights, folder.architecture)
    return network.eval()


def has(architecture: str) -> bool:
    """Return whether torchvision has a classifier of this name."""
    return architecture in ARCHITECTURES


def build(architecture: str, classes: int, path: Path) -> torch.nn.Module:
    """Return the network without its weights. Raise ModelError, naming `path`, if torchvision does not have it."""
    if architecture not in ARCHITECTURES:
        raise ModelError(f"{path}: torchvision has no classification architecture {architecture!r}")
    keywords = {"init_weights": False} if architecture in INPUT_TRANSFORMING else {}
    network: torch.nn.Module = models.get_model(architecture, weights=None, num_classes=classes, **keywords)
    return network


def _drop_unused_branches(network: torch.nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Remove the branches that serve only training, and that a network trained without them has no weights for."""
    for branch in TRAINING_BRANCHES:
        if getattr(network, branch, None) is not None and not any(key.startswith(f"{branch}.") for key in state):
            setattr(network, branch, None)


def check_hash(path: Path) -> None:
    """Raise ModelError if the file name contains the start of a sha256 that is not the file's."""
    if (match := HASH_IN_NAME.search(path.name)) and not (digest := sha256(path)).startswith(match[1]):
        raise ModelError(
            f"{path}: sha256 starts with {digest[: len(match[1])]}, its name says {match[1]}; download the file again"
        )


def describe(path: Path, architecture: str) -> Description:
    """Return the description from the weights' metadata; a file with its published name needs no `architecture`.

    Raise ModelError if the architecture is unknown or the weights do not fit it.
    """
    path = detect.find_file(path, STATE_DICTS)
    weights = _weights(path.name)
    if not architecture:
        if weights is None:
            fitting = fitting_architecture(read_state_dict(path), path)
            raise ModelError(
                f"{path}: not a name that torchvision publishes weights under; name the architecture"
                + (f": it fits {fitting}, set ARCHITECTURE={fitting}" if fitting else "")
            )
        architecture = next(
            each for each in models.list_models(module=models) if weights in models.get_model_weights(each)
        )
    network = build(architecture, imagenet_labels.IMAGENET_CLASSES, path)
    weights = weights or models.get_model_weights(architecture).DEFAULT
    check_hash(path)
    last = next(reversed(network.state_dict()))
    state, notes = read_for(network, path)
    _drop_unused_branches(network, state)
    input_channels = channels.channels_of(network, state)
    channels.match_weights(network, state)
    check_fit(network, state, path, architecture)
    geometry, *normalisation = preprocessing(weights)
    mean, std = (channels.normalisation(values, input_channels) for values in normalisation)
    english = weights.meta["categories"]
    return Description(
        loader="torchvision", architecture=architecture, weights=path.name, files={path.name: path},
        geometry=geometry, mean=mean, std=std,
        labels=imagenet_labels.imagenet(english) if len(state[last]) == len(english) else {}, activation="softmax",
        classes=len(state[last]), notes=notes,
    )  # fmt: skip


def preprocessing(weights: Any) -> tuple[Geometry, tuple[float, ...], tuple[float, ...]]:
    """Return the geometry, mean and std of torchvision's transforms for `weights`."""
    steps = weights.transforms()
    (size,), (resize,) = steps.crop_size, steps.resize_size
    return Geometry((size, size), resize, steps.interpolation.value), tuple(steps.mean), tuple(steps.std)


def _weights(name: str) -> Any:
    """Return the published weights with this file name, or None."""
    published = (each for each in ARCHITECTURES for each in models.get_model_weights(each))
    return next((each for each in published if each.url.rpartition("/")[2] == name), None)
