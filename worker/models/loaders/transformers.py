"""transformers: a local folder with config.json, weights (safetensors or .bin) and preprocessor_config.json."""

import logging
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification

from worker.contract.fields import ModelError, some
from worker.contract.model_files import CONFIG, PREPROCESSOR, read_json
from worker.models.folder import ModelFolder
from worker.models.loaders import Description, imagenet_labels
from worker.models.loaders.channels import RGB
from worker.models.loaders.image_processor import flips, preprocessing
from worker.models.loaders.state_dict import check_weights

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
INDEX = ".index.json"  # of weights in several files

log = logging.getLogger(__name__)


class Logits(torch.nn.Module):
    """A classifier of transformers that gives its logits alone, to images in RGB."""

    def __init__(self, classifier: torch.nn.Module, flipped: bool) -> None:
        super().__init__()
        self.classifier, self.flipped = classifier, flipped

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.classifier(pixel_values=pixels.flip(1) if self.flipped else pixels).logits


def load(folder: ModelFolder) -> torch.nn.Module:
    """The folder's classifier; every weight of its architecture must be there.

    More may be there: published folders often keep the head that the network was first trained with.
    """
    path = folder.weights
    classifier = pretrained(AutoModelForImageClassification, path)
    flipped = (path / PREPROCESSOR).is_file() and flips(read_processor(path))
    return Logits(classifier, flipped).eval()


def pretrained(kind: Any, path: Path) -> torch.nn.Module:
    """The network of the folder `path`, of a `kind` such as AutoModel; raises ModelError when one of its weights lacks.

    More weights than its own may be there.
    """
    for file in weight_files(path):
        check_weights(file)
    config = read_json(path / CONFIG)
    try:
        network, found = kind.from_pretrained(
            path, local_files_only=True, trust_remote_code=False, output_loading_info=True,
            ignore_mismatched_sizes=True, dtype=torch.float32,
        )  # fmt: skip
    except Exception as error:  # transformers raises whatever a damaged folder provokes
        raise refused(path, error) from error
    lacking = sorted(found["missing_keys"]) + sorted(key for key, *_ in found["mismatched_keys"])
    if lacking:
        raise ModelError(
            f"{path}: does not fit {config.get('model_type')}: missing or of another shape: {some(lacking)}"
        )
    return network


def describe(path: Path, architecture: str) -> Description:
    """What config.json and preprocessor_config.json say."""
    if not path.is_dir():
        raise ModelError(f"{path}: not a folder; needed one with {CONFIG}, {PREPROCESSOR} and weights")
    for needed in (CONFIG, PREPROCESSOR):
        read_json(path / needed)
    copied = [path / CONFIG, path / PREPROCESSOR, *weights_and_index(path)]
    geometry, mean, std = preprocessing(read_processor(path), path, getattr(_config(path), "num_channels", RGB))
    return Description(
        loader="transformers", architecture="", weights=".", files={file.name: file for file in copied},
        geometry=geometry, mean=mean, std=std, labels=_labels(path), activation=_activation(path),
    )  # fmt: skip


def weights_and_index(path: Path) -> list[Path]:
    """All that must be copied for the weights of the folder `path`. Raises ModelError for what is no weights."""
    weights = weight_files(path)
    for file in weights:
        check_weights(file)
    indexes = [path / f"{name}{INDEX}" for name in WEIGHTS if (path / f"{name}{INDEX}").is_file()][:1]
    return weights if (path / WEIGHTS[0]) in weights else [*weights, *indexes]


def weight_files(path: Path) -> list[Path]:
    """The files that transformers reads the weights of the folder `path` from. Raises ModelError when there is none."""
    for name in WEIGHTS:
        if (path / name).exists():
            return [path / name]
        if (path / f"{name}{INDEX}").is_file():
            return [path / part for part in sorted(set(read_json(path / f"{name}{INDEX}")["weight_map"].values()))]
    raise ModelError(f"{path}: has no weights; needed {' or '.join(WEIGHTS)}, or these in parts with their {INDEX}")


def _labels(path: Path) -> dict[str, tuple[str, ...]]:
    config = _config(path)
    named = [str(config.id2label[index]) for index in range(config.num_labels)]
    if named == [f"LABEL_{index}" for index in range(config.num_labels)]:  # what transformers makes up for want of any
        return dict(imagenet_labels.of_classes(config.num_labels))
    return dict(imagenet_labels.imagenet(named))


def _activation(path: Path) -> str:
    return "sigmoid" if _config(path).problem_type == "multi_label_classification" else "softmax"


def _config(path: Path) -> Any:
    try:
        return AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises whatever a damaged folder provokes
        raise refused(path, error) from error


def read_processor(path: Path) -> Any:
    """The image processor of the folder `path`. Raises ModelError."""
    try:
        return AutoImageProcessor.from_pretrained(path, local_files_only=True, trust_remote_code=False, backend="pil")
    except Exception as error:  # transformers raises whatever a damaged folder provokes
        raise refused(path, error) from error


def refused(path: Path, error: Exception) -> ModelError:
    """What to raise where transformers raised `error` over the folder `path`."""
    return ModelError(f"{path}: not a folder that transformers can load: {str(error).splitlines()[0]}")
