"""Load transformers' classifiers from a folder with config.json, preprocessor_config.json and weights."""

import logging
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification

from worker.contract.model_files import CONFIG, PREPROCESSOR, read_json
from worker.contract.toml_reader import ModelError, abbreviate
from worker.models.folder import ModelFolder
from worker.models.loaders import Description, imagenet_labels
from worker.models.loaders.channels import RGB
from worker.models.loaders.image_processor import flips, preprocessing
from worker.models.loaders.state_dict import check_weights

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
INDEX = ".index.json"  # suffix of the index of weights in several files

log = logging.getLogger(__name__)


class Logits(torch.nn.Module):
    """A classifier of transformers that takes RGB and returns only its logits: float32 [N, C, H, W] -> [N, classes]."""

    def __init__(self, classifier: torch.nn.Module, flipped: bool) -> None:
        super().__init__()
        self.classifier, self.flipped = classifier, flipped

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.classifier(pixel_values=pixels.flip(1) if self.flipped else pixels).logits


def load(folder: ModelFolder) -> torch.nn.Module:
    """Return the folder's classifier. Raise ModelError if a weight of its architecture is missing.

    Additional weights are allowed, since published folders often include the head of the original training.
    """
    path = folder.weights
    classifier = load_pretrained(AutoModelForImageClassification, path)
    flipped = (path / PREPROCESSOR).is_file() and flips(read_processor(path))
    return Logits(classifier, flipped).eval()


def load_pretrained(kind: Any, path: Path) -> torch.nn.Module:
    """Return the network in the folder `path`, built by the auto class `kind`, such as AutoModel.

    Raise ModelError if one of its weights is missing or of another shape; additional weights are allowed.
    """
    for file in weight_files(path):
        check_weights(file)
    config = read_json(path / CONFIG)
    try:
        network, report = kind.from_pretrained(
            path, local_files_only=True, trust_remote_code=False, output_loading_info=True,
            ignore_mismatched_sizes=True, dtype=torch.float32,
        )  # fmt: skip
    except Exception as error:  # a damaged folder may make transformers raise anything
        raise load_error(path, error) from error
    missing = sorted(report["missing_keys"]) + sorted(key for key, *_ in report["mismatched_keys"])
    if missing:
        raise ModelError(
            f"{path}: does not fit {config.get('model_type')}: missing or of another shape: {abbreviate(missing)}"
        )
    return network


def describe(path: Path, architecture: str) -> Description:
    """Return the description from the folder's JSON files. Raise ModelError if a file is missing or unsupported."""
    if not path.is_dir():
        raise ModelError(f"{path}: not a folder; needed one with {CONFIG}, {PREPROCESSOR} and weights")
    for name in (CONFIG, PREPROCESSOR):
        read_json(path / name)
    sources = [path / CONFIG, path / PREPROCESSOR, *weights_and_index(path)]
    geometry, mean, std = preprocessing(read_processor(path), path, getattr(_config(path), "num_channels", RGB))
    return Description(
        loader="transformers", architecture="", weights=".", files={file.name: file for file in sources},
        geometry=geometry, mean=mean, std=std, labels=_labels(path), activation=_activation(path),
    )  # fmt: skip


def weights_and_index(path: Path) -> list[Path]:
    """Return the weights files in the folder `path` and their index. Raise ModelError if missing or damaged."""
    weights = weight_files(path)
    for file in weights:
        check_weights(file)
    indexes = [path / f"{name}{INDEX}" for name in WEIGHTS if (path / f"{name}{INDEX}").is_file()][:1]
    return weights if (path / WEIGHTS[0]) in weights else [*weights, *indexes]


def weight_files(path: Path) -> list[Path]:
    """Return the files from which transformers reads the weights in the folder `path`. Raise ModelError if none."""
    for name in WEIGHTS:
        if (path / name).exists():
            return [path / name]
        if (path / f"{name}{INDEX}").is_file():
            return [path / part for part in sorted(set(read_json(path / f"{name}{INDEX}")["weight_map"].values()))]
    raise ModelError(f"{path}: has no weights; needed {' or '.join(WEIGHTS)}, or these in parts with their {INDEX}")


def _labels(path: Path) -> dict[str, tuple[str, ...]]:
    config = _config(path)
    names = [str(config.id2label[index]) for index in range(config.num_labels)]
    if names == [f"LABEL_{index}" for index in range(config.num_labels)]:  # transformers' placeholders
        return dict(imagenet_labels.of_classes(config.num_labels))
    return dict(imagenet_labels.imagenet(names))


def _activation(path: Path) -> str:
    return "sigmoid" if _config(path).problem_type == "multi_label_classification" else "softmax"


def _config(path: Path) -> Any:
    try:
        return AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a damaged folder may make transformers raise anything
        raise load_error(path, error) from error


def read_processor(path: Path) -> Any:
    """Return the image processor in the folder `path`. Raise ModelError if it cannot be loaded."""
    try:
        return AutoImageProcessor.from_pretrained(path, local_files_only=True, trust_remote_code=False, backend="pil")
    except Exception as error:  # a damaged folder may make transformers raise anything
        raise load_error(path, error) from error


def load_error(path: Path, error: Exception) -> ModelError:
    """Return the ModelError for an `error` that transformers raised on the folder `path`."""
    return ModelError(f"{path}: not a folder that transformers can load: {str(error).splitlines()[0]}")
