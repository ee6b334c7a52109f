"""Load timm's architectures from a file of weights, or from timm's own folder of config.json and weights."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data import resolve_data_config
from timm.models import get_pretrained_cfg

from worker.contract.model_files import CONFIG, read_config, read_json
from worker.contract.toml_reader import ModelError
from worker.decode import INTERPOLATIONS, Geometry
from worker.models.folder import ModelFolder
from worker.models.loaders import Description, channels, efficientnet, fit, imagenet_labels
from worker.models.loaders.state_dict import load_weights, read_state_dict, read_weights
from worker.models.loaders.suggestions import check_fit

POSITIONS = "pos_embed"
# In the order in which timm looks for them in a folder.
WEIGHTS = ("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth")


def has(architecture: str) -> bool:
    """Return whether timm has a network of this name."""
    return bool(timm.is_model(architecture))


def load(folder: ModelFolder) -> torch.nn.Module:
    """Return the network with the folder's weights, built with the arguments in its config.json.

    Raise ModelError if timm cannot build it or the weights do not fit.
    """
    config = read_config(folder.path)
    architecture, state, _ = efficientnet.to_timm(folder.architecture, read_state_dict(folder.weights), folder.weights)
    size = folder.input.geometry.size
    network = build(architecture, folder.output.labels.count, size, folder.path, _arguments(config))
    state, _ = fit.aligned(network.state_dict(), state, folder.weights)
    channels.match_weights(network, state)
    load_weights(network, state, folder.weights, architecture)
    return network.eval()


def build(
    architecture: str, classes: int, size: tuple[int, int], path: Path, arguments: Mapping[str, Any] | None = None
) -> torch.nn.Module:
    """Return the network without its weights, for inputs of `size` (height, width).

    Raise ModelError, naming `path`, if timm cannot build it.
    """
    # Networks with position embeddings are built for one input size; the others take any.
    size_keywords = {"img_size": size} if _configuration(architecture, path)["fixed_input_size"] else {}
    keywords = {**size_keywords, **(arguments or {}), "num_classes": classes, "pretrained": False}
    try:
        network: torch.nn.Module = timm.create_model(architecture, **keywords)
    except Exception as error:  # each architecture rejects arguments with its own exception
        raise ModelError(f"{path}: timm cannot build {architecture} of {list(size)} pixels: {error}") from error
    return network


def describe(path: Path, architecture: str) -> Description:
    """Return the description from timm's configuration of the architecture and the folder's config.json, if any.

    Raise ModelError if a file is missing, or the weights or the preprocessing are unsupported.
    """
    config: dict[str, Any] = {}
    if path.is_dir():
        config = read_json(path / CONFIG)
        weights = next((path / name for name in WEIGHTS if (path / name).is_file()), None)
        if weights is None:
            raise ModelError(f"{path}: has no weights; needed one of {', '.join(WEIGHTS)}")
        files = {CONFIG: path / CONFIG, weights.name: weights}
    else:
        weights, files = path, {path.name: path}
    own_state, wrapper = read_weights(weights)
    architecture, state, overrides = efficientnet.to_timm(
        architecture or str(config.get("architecture", "")), own_state, weights
    )
    # Older folders have the configuration at the top level of config.json.
    pretrained_cfg = config.get("pretrained_cfg", config)
    settings = {**_configuration(architecture, path), **overrides, **pretrained_cfg}
    if image_size := _arguments(config).get("img_size"):
        settings["input_size"] = (3, *((image_size, image_size) if isinstance(image_size, int) else image_size))
    geometry, *normalisation = preprocessing(settings, path)
    network = build(architecture, imagenet_labels.IMAGENET_CLASSES, geometry.size, path, _arguments(config))
    state, notes = fit.aligned(network.state_dict(), state, weights)
    if trained_size := _trained_size(network, state):
        geometry = replace(geometry, size=trained_size, resize=None)
        network = build(architecture, imagenet_labels.IMAGENET_CLASSES, geometry.size, path, _arguments(config))
    input_channels = _arguments(config).get("in_chans") or channels.channels_of(network, state)
    mean, std = (channels.normalisation(values, input_channels) for values in normalisation)
    # By name, since some networks have other weights after those of their last layer.
    classifier = settings["classifier"]
    head = f"{classifier[0] if isinstance(classifier, (tuple, list)) else classifier}.weight"
    channels.match_weights(network, state)
    check_fit(network, state, weights, architecture)
    if head not in state:
        raise ModelError(f"{weights}: has no {head}; needed a network with a classifier")
    english = config.get("label_names") or pretrained_cfg.get("label_names") or pretrained_cfg.get("labels")
    labels = imagenet_labels.imagenet(english) if english else imagenet_labels.of_classes(len(state[head]))
    return Description(
        loader="timm", architecture=architecture, weights=weights.name, files=files,
        geometry=geometry, mean=mean, std=std, labels=labels, activation="softmax",
        classes=len(state[head]), notes=(*([f"took the weights under {wrapper}"] if wrapper else ()), *notes),
    )  # fmt: skip


def preprocessing(settings: dict[str, Any], path: Path) -> tuple[Geometry, tuple[float, ...], tuple[float, ...]]:
    """Return the geometry, mean and std of timm's data config. Raise ModelError if [input] cannot express them."""
    data = resolve_data_config(pretrained_cfg=settings)
    _, *size = data["input_size"]
    mode, crop = data["crop_mode"], data["crop_pct"]
    if data["interpolation"] not in INTERPOLATIONS:
        raise ModelError(f"{path}: interpolation {data['interpolation']!r} is none of {', '.join(INTERPOLATIONS)}")
    if mode == "border":
        raise ModelError(f"{path}: crop_mode {mode!r} cannot be expressed in model.toml's [input]")
    # For a non-square input timm scales by the side that needs the larger factor, which [input] cannot express.
    if mode == "center" and size[0] != size[1]:
        raise ModelError(
            f"{path}: a centre crop of {size} pixels, which is not square, cannot be expressed in model.toml"
        )
    height, width = (int(side / crop) for side in size)
    resize = (height, width) if mode == "squash" else height
    geometry = Geometry((size[0], size[1]), None if resize == tuple(size) else resize, data["interpolation"])
    return geometry, tuple(data["mean"]), tuple(data["std"])


def _trained_size(network: torch.nn.Module, state: Mapping[str, torch.Tensor]) -> tuple[int, int] | None:
    """Return the (height, width) that a ViT was trained at, from its position embeddings; None if it is `network`'s."""
    own, found = network.state_dict().get(POSITIONS), state.get(POSITIONS)
    patches: Any = getattr(network, "patch_embed", None)
    if own is None or found is None or own.ndim != found.ndim or own.shape[1] == found.shape[1] or patches is None:
        return None
    rows, columns = patches.grid_size
    count = found.shape[1] - (own.shape[1] - rows * columns)  # the others belong to the class token and the like
    side = math.isqrt(max(count, 0))
    return (side * patches.patch_size[0], side * patches.patch_size[1]) if side * side == count else None


def _configuration(architecture: str, path: Path) -> dict[str, Any]:
    """Return timm's published configuration of the architecture. Raise ModelError if it has no such name or tag."""
    try:
        configuration: dict[str, Any] = get_pretrained_cfg(architecture, allow_unregistered=False).to_dict()
    except RuntimeError as error:
        raise ModelError(f"{path}: timm has no architecture {architecture!r}") from error
    return configuration


def _arguments(config: dict[str, Any]) -> dict[str, Any]:
    return dict(config.get("model_args", {}))
