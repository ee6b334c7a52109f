"""A state dict for an architecture of torchvision or timm, or for the user's own network in network.py.

`architecture` is a name, looked for in torchvision and then in timm; "torchvision:" or "timm:" before it decides.
Weights with the names of efficientnet_pytorch tell it themselves.
network.py defines `build(classes: int)`, which returns the network; it runs only where model.toml trusts it.
"""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import timm as timm_library
import torch
from torchvision import models

from worker.contract.fields import ModelError
from worker.contract.loaders.checkpoint import NETWORK_CODE
from worker.contract.model_files import STATE_DICTS
from worker.models.folder import ModelFolder
from worker.models.loaders import Description, efficientnet, guess, imagenet_labels, timm, torchvision
from worker.models.loaders.state_dict import fill, read_state_dict

BUILD = "build"
# Two dimensions or more: the weights of a layer. Its first counts the outputs.
LAYER = 2
# What prepares images for a network of the user's own: ImageNet's usual preparation.
DEFAULT = "resnet18"
LIBRARIES = {"torchvision": torchvision, "timm": timm}


def load(folder: ModelFolder) -> torch.nn.Module:
    """The network with the folder's weights, every key of both."""
    torchvision.check_hash(folder.weights)
    library, architecture = _found(folder.architecture, folder.weights, folder.path)
    if library:
        network: torch.nn.Module = LIBRARIES[library].load(replace(folder, architecture=architecture))
        return network
    network = _own(folder)
    fill(network, read_state_dict(folder.weights), folder.weights, NETWORK_CODE)
    return network.eval()


def describe(path: Path, architecture: str) -> Description:
    """What the architecture's own library says of it; of a user's own network, ImageNet's usual preparation."""
    weights = guess.file_in(path, STATE_DICTS)
    library, name = _found(architecture, weights, path)
    if library:
        found: Description = LIBRARIES[library].describe(weights, name)
        return replace(found, loader="checkpoint", architecture=f"{library}:{found.architecture}")
    geometry, mean, std = torchvision.preprocessing(models.get_model_weights(DEFAULT).DEFAULT)
    files = {weights.name: weights, NETWORK_CODE: path / NETWORK_CODE}
    return Description(
        loader="checkpoint", architecture="", weights=weights.name, files=files,
        geometry=geometry, mean=mean, std=std, labels=imagenet_labels.of_classes(_classes(weights)),
        activation="softmax",
    )  # fmt: skip


def recognises(path: Path, architecture: str) -> bool:
    """Return whether the architecture of the state dict in the file `path` is told, by `architecture` or its names."""
    return bool(architecture) or efficientnet.is_spelled(read_state_dict(path))


def _found(architecture: str, weights: Path, path: Path) -> tuple[str, str]:
    """The library that has `architecture` and its name there; nothing for the user's own. Raises ModelError."""
    if not architecture and (path / NETWORK_CODE).is_file():
        return "", ""
    library, colon, name = architecture.rpartition(":")
    if not library and efficientnet.is_spelled(read_state_dict(weights)):
        return "timm", name
    if not architecture:
        raise ModelError(f"{path}: a state dict needs an architecture, or a {NETWORK_CODE} beside it")
    if library in ("", "torchvision") and name in torchvision.ARCHITECTURES:
        return "torchvision", name
    if library in ("", "timm") and timm_library.is_model(name):
        return "timm", name
    where = f" in {library}" if colon else ": neither torchvision nor timm has it"
    raise ModelError(f"{path}: no architecture {name!r}{where}; correct its spelling")


def _own(folder: ModelFolder) -> torch.nn.Module:
    code = folder.path / NETWORK_CODE
    if not folder.trust_code:
        raise ModelError(
            f"{code}: is code that would run in the worker; read it, and if you trust it "
            "set trust_code = true in model.toml"
        )
    spec = importlib.util.spec_from_file_location("wanwu_network", code)
    if spec is None or spec.loader is None:
        raise ModelError(f"{code}: cannot be read as Python")
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True  # one file more in the folder, and it would not be the model that was added
    try:
        spec.loader.exec_module(module)
        network = getattr(module, BUILD)(folder.output.labels.count)
    except Exception as error:  # it may be anything
        raise ModelError(f"{code}: {BUILD}(classes) failed: {type(error).__name__}: {error}") from error
    if not isinstance(network, torch.nn.Module):
        raise ModelError(f"{code}: {BUILD}(classes) returned a {type(network).__name__}, needed a torch.nn.Module")
    return network


def _classes(weights: Path) -> int:
    layers = [value for value in read_state_dict(weights).values() if value.ndim >= LAYER]
    return len(layers[-1]) if layers else 0
