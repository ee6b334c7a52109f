"""Load a state dict into an architecture of torchvision or timm, or into the user's own network in network.py.

`architecture` is a name that is looked up in torchvision and then in timm; the prefix "torchvision:" or "timm:"
selects one. Weights with the names of efficientnet_pytorch reveal the architecture themselves.
network.py defines `build(classes: int)`, which returns the network; it runs only if model.toml sets trust_code.
"""

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torchvision import models

from worker.contract.loaders.checkpoint import NETWORK_CODE
from worker.contract.model_files import STATE_DICTS
from worker.contract.toml_reader import ModelError
from worker.models.folder import ModelFolder
from worker.models.loaders import (
    Description,
    detect,
    efficientnet,
    imagenet_labels,
    module_of,
    suggestions,
    torchvision,
)
from worker.models.loaders.state_dict import load_weights, read_for, read_state_dict, read_weights

BUILD = "build"
# A tensor with at least this many dimensions is the weights of a layer, and its first dimension counts the outputs.
MIN_LAYER_DIMENSIONS = 2
# The architecture whose preprocessing, ImageNet's usual one, the user's own network gets.
DEFAULT_ARCHITECTURE = "resnet18"
LIBRARIES = ("torchvision", "timm")  # imported on demand, since the user's own network needs neither


def load(folder: ModelFolder) -> torch.nn.Module:
    """Return the network with the folder's weights. Raise ModelError unless the keys of both match exactly."""
    torchvision.check_hash(folder.weights)
    library, architecture = _resolve(folder.architecture, folder.weights, folder.path)
    if library:
        network: torch.nn.Module = module_of(library).load(replace(folder, architecture=architecture))
        return network
    network = _load_user_network(folder)
    state, _ = read_for(network, folder.weights)
    load_weights(network, state, folder.weights, NETWORK_CODE)
    return network.eval()


def describe(path: Path, architecture: str) -> Description:
    """Return the description from the architecture's library, or ImageNet's usual one for a user's own network.

    Raise ModelError if the architecture is missing or unknown, or the weights cannot be read.
    """
    weights = detect.find_file(path, STATE_DICTS)
    library, name = _resolve(architecture, weights, path)
    if library:
        description: Description = module_of(library).describe(weights, name)
        return replace(description, loader="checkpoint", architecture=f"{library}:{description.architecture}")
    state, name = read_weights(weights)
    geometry, mean, std = torchvision.preprocessing(models.get_model_weights(DEFAULT_ARCHITECTURE).DEFAULT)
    files = {weights.name: weights, NETWORK_CODE: path / NETWORK_CODE}
    return Description(
        loader="checkpoint", architecture="", weights=weights.name, files=files,
        geometry=geometry, mean=mean, std=std, labels=imagenet_labels.of_classes(_count_classes(state)),
        activation="softmax", notes=(f"took the weights under {name}",) if name else (),
    )  # fmt: skip


def recognises(path: Path, architecture: str) -> bool:
    """Return whether the architecture of the state dict `path` is known, from `architecture` or from its keys."""
    weights = detect.find_file(path, STATE_DICTS)
    return bool(architecture) or efficientnet.is_efficientnet_pytorch(read_state_dict(weights))


def _resolve(architecture: str, weights: Path, path: Path) -> tuple[str, str]:
    """Return the library of `architecture` and its name there, "" and "" for the user's own network.

    Raise ModelError if the architecture is missing or unknown.
    """
    if not architecture and (path / NETWORK_CODE).is_file():
        return "", ""
    library, colon, name = architecture.rpartition(":")
    if not library and efficientnet.is_efficientnet_pytorch(read_state_dict(weights)):
        return "timm", name
    if not architecture:
        raise ModelError(f"{path}: a state dict needs an architecture, or a {NETWORK_CODE} next to it")
    known = [each for each in LIBRARIES if library in ("", each) and module_of(each).has(name)]
    if known:
        return _better(known, name, weights), name
    where = f" in {library}" if colon else ": neither torchvision nor timm has it"
    raise ModelError(f"{path}: no architecture {name!r}{where}; correct its spelling")


def _better(libraries: list[str], name: str, weights: Path) -> str:
    """Return the one of `libraries` whose architecture `name` shares more keys with `weights`, the first if equal."""
    if len(libraries) == 1:
        return libraries[0]
    state, keys = read_state_dict(weights), (suggestions.torchvision_keys, suggestions.timm_keys)
    shared = [suggestions.fitting_keys(keys_of(name), state, weights) for keys_of in keys]
    return libraries[shared.index(max(shared))]


def _load_user_network(folder: ModelFolder) -> torch.nn.Module:
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
    sys.dont_write_bytecode = True  # a .pyc file in the folder would not be listed under [files]
    try:
        spec.loader.exec_module(module)
        network = getattr(module, BUILD)(folder.output.labels.count)
    except Exception as error:  # the user's code may raise anything
        raise ModelError(f"{code}: {BUILD}(classes) failed: {type(error).__name__}: {error}") from error
    if not isinstance(network, torch.nn.Module):
        raise ModelError(f"{code}: {BUILD}(classes) returned a {type(network).__name__}, needed a torch.nn.Module")
    return network


def _count_classes(state: Mapping[str, torch.Tensor]) -> int:
    layers = [value for value in state.values() if value.ndim >= MIN_LAYER_DIMENSIONS]
    return len(layers[-1]) if layers else 0
