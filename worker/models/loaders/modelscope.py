"""Load ModelScope's image classifiers from a snapshot folder without its library: timm has their architectures.

cv_resnest101_general_recognition is a ResNeSt-101 with its labels in meta_info.txt. The daily-life ViT and its
ImageNet twin are ViTs of OpenMMLab, with other names of the weights and with the labels in the checkpoint.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from worker.contract.loaders.modelscope import META_INFO, WEIGHTS
from worker.contract.model_files import STATE_DICTS
from worker.contract.toml_reader import ModelError, abbreviate
from worker.decode import Geometry
from worker.models.folder import ModelFolder
from worker.models.loaders import Description, detect, imagenet_labels, timm
from worker.models.loaders.state_dict import load_weights, read_checkpoint, read_state_dict
from worker.models.loaders.wrappers import find_state

RESNEST, VIT = "resnest101e", "vit_base_patch16_224"
LABEL_FIELD = 1  # index of the label in a line of meta_info.txt, whose fields are separated by tabs
SIZE, RESIZE = 224, 256
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OPENMMLAB = "backbone."
# Replacements, applied in this order, from the names in OpenMMLab's ViT to timm's.
REPLACEMENTS = (
    (r"^head\.layers\.head\.", "head."),
    (r"^backbone\.ln1\.", "norm."),
    (r"^backbone\.", ""),
    (r"^patch_embed\.projection\.", "patch_embed.proj."),
    (r"^layers\.(\d+)\.", r"blocks.\1."),
    (r"\.ln([12])\.", r".norm\1."),
    (r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."),
    (r"\.ffn\.layers\.1\.", ".mlp.fc2."),
)
NORMALISATION = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}


def load(folder: ModelFolder) -> torch.nn.Module:
    """Return timm's network with the snapshot's weights. Raise ModelError unless the keys of both match exactly."""
    size = folder.input.geometry.size
    network = timm.build(folder.architecture, folder.output.labels.count, size, folder.path)
    load_weights(network, with_timm_names(read_state_dict(folder.weights)), folder.weights, folder.architecture)
    return network.eval()


def describe(path: Path, architecture: str) -> Description:
    """Return the snapshot's description; a ViT other than the base one needs an `architecture`.

    Raise ModelError if the weights or the labels cannot be read.
    """
    weights = detect.find_file(path / WEIGHTS if path.is_dir() else path, STATE_DICTS)
    checkpoint = read_checkpoint(weights)
    state, _ = find_state(checkpoint, weights)
    vit = any(key.startswith(OPENMMLAB) for key in state)
    meta = checkpoint.get("meta", {}) if isinstance(checkpoint, Mapping) else {}
    labels = _classes(meta, weights) if vit else _meta_info(weights.parent / META_INFO)
    mean, std = (_normalisation(meta, quantity) for quantity in NORMALISATION)
    return Description(
        loader="modelscope", architecture=architecture or (VIT if vit else RESNEST),
        weights=weights.name, files={weights.name: weights},
        geometry=Geometry((SIZE, SIZE), RESIZE, "bicubic" if vit else "bilinear"), mean=mean, std=std,
        labels=labels, activation="softmax",
    )  # fmt: skip


def with_timm_names(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return `state` with timm's keys if it has OpenMMLab's, else unchanged."""
    if not any(key.startswith(OPENMMLAB) for key in state):
        return dict(state)
    return {_timm_name(key): value for key, value in state.items()}


def _timm_name(key: str) -> str:
    for pattern, name in REPLACEMENTS:
        key = re.sub(pattern, name, key)
    return key


def _classes(meta: Any, path: Path) -> Mapping[str, tuple[str, ...]]:
    classes = meta.get("CLASSES") if isinstance(meta, Mapping) else None
    if not classes:
        raise ModelError(f"{path}: has no labels; needed them in its meta['CLASSES']")
    return _by_language([str(label) for label in classes], path)


def _meta_info(path: Path) -> Mapping[str, tuple[str, ...]]:
    if not path.is_file():
        raise ModelError(f"{path}: not found; it has the labels, copy it from the model's snapshot")
    try:
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: not UTF-8: {error}; copy the file again") from error
    short = [number for number, row in enumerate(rows, 1) if len(row) <= LABEL_FIELD or not row[LABEL_FIELD].strip()]
    if short:
        raise ModelError(
            f"{path}: no label in line {abbreviate(map(str, short))}; needed it after the line's first tab"
        )
    return _by_language([row[LABEL_FIELD].strip() for row in rows], path)


def _by_language(labels: list[str], path: Path) -> Mapping[str, tuple[str, ...]]:
    if blank := [str(number) for number, label in enumerate(labels) if not label.strip()]:
        raise ModelError(f"{path}: the label of class {abbreviate(blank)} is blank")
    chinese = any("\u4e00" <= letter <= "\u9fff" for label in labels for letter in label)
    return {"zh": tuple(labels)} if chinese else imagenet_labels.imagenet(labels)


def _normalisation(meta: Any, quantity: str) -> tuple[float, ...]:
    """Return the mean or std, on a scale of 0 to 1, from the text of OpenMMLab's configuration in the checkpoint.

    The configuration states it on a scale of 0 to 255; without one it is ImageNet's.
    """
    text = str(meta.get("config", "")) if isinstance(meta, Mapping) else ""
    match = re.search(rf"\b{quantity}=\[([\d., ]+)\]", text.replace(" = ", "="))
    values = tuple(float(value) / 255 for value in match[1].split(",") if value.strip()) if match else ()
    return values if len(values) == len(IMAGENET_MEAN) else NORMALISATION[quantity]
