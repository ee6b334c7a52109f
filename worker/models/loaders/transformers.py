"""transformers: a local folder with config.json, weights (safetensors or .bin) and preprocessor_config.json."""

import logging
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification

from worker.decode import INTERPOLATIONS, Geometry
from worker.models.fields import ModelError
from worker.models.folder import ModelFolder
from worker.models.loaders import Description, guess, names
from worker.models.loaders.state_dict import check_weights, some

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
INDEX = ".index.json"  # of weights in several files
CONVNEXT_STRETCHES_FROM = 384  # pixels; below it, the picture is scaled and cut
LEVIT_SCALE = 256 / 224

log = logging.getLogger(__name__)


class Logits(torch.nn.Module):
    """A classifier of transformers that gives its logits alone, to pictures in RGB."""

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
    for file in weight_files(path):
        check_weights(file)
    config = guess.config(path / CONFIG)
    try:
        classifier, found = AutoModelForImageClassification.from_pretrained(
            path, local_files_only=True, trust_remote_code=False, output_loading_info=True,
            ignore_mismatched_sizes=True, dtype=torch.float32,
        )  # fmt: skip
    except Exception as error:  # transformers raises whatever a damaged folder provokes
        raise _refused(path, error) from error
    lacking = sorted(found["missing_keys"]) + sorted(key for key, *_ in found["mismatched_keys"])
    if lacking:
        raise ModelError(
            f"{path}: does not fit {config.get('model_type')}: missing or of another shape: {some(lacking)}"
        )
    flipped = (path / PREPROCESSOR).is_file() and flips(_processor(path))
    return Logits(classifier, flipped).eval()


def describe(path: Path, architecture: str) -> Description:
    """What config.json and preprocessor_config.json say."""
    if not path.is_dir():
        raise ModelError(f"{path}: not a folder; needed one with {CONFIG}, {PREPROCESSOR} and weights")
    for needed in (CONFIG, PREPROCESSOR):
        guess.config(path / needed)
    weights = weight_files(path)
    for file in weights:
        check_weights(file)
    geometry, mean, std = preprocessing(_processor(path), path)
    indexes = [path / f"{name}{INDEX}" for name in WEIGHTS if (path / f"{name}{INDEX}").is_file()][:1]
    copied = [path / CONFIG, path / PREPROCESSOR, *weights, *([] if (path / WEIGHTS[0]) in weights else indexes)]
    return Description(
        loader="transformers", architecture="", weights=".", files={file.name: file for file in copied},
        geometry=geometry, mean=mean, std=std, labels=_labels(path), activation=_activation(path),
    )  # fmt: skip


def weight_files(path: Path) -> list[Path]:
    """The files that transformers reads the weights of the folder `path` from. Raises ModelError when there is none."""
    for name in WEIGHTS:
        if (path / name).exists():
            return [path / name]
        if (path / f"{name}{INDEX}").is_file():
            return [path / part for part in sorted(set(guess.config(path / f"{name}{INDEX}")["weight_map"].values()))]
    raise ModelError(f"{path}: has no weights; needed {' or '.join(WEIGHTS)}, or these in parts with their {INDEX}")


def preprocessing(processor: Any, path: Path) -> tuple[Geometry, tuple[float, ...], tuple[float, ...]]:
    """Geometry, mean and std of an image processor; raises ModelError for what model.toml cannot say."""
    if not processor.do_resize:
        raise ModelError(f"{path}: its processor does not resize, so its network has no size; set do_resize")
    interpolation = Image.Resampling(int(processor.resample)).name.lower()
    if interpolation not in INTERPOLATIONS:
        raise ModelError(f"{path}: interpolation {interpolation!r} is none of {', '.join(INTERPOLATIONS)}")
    if getattr(processor, "rescale_offset", False) or getattr(processor, "include_top", False):
        raise ModelError(f"{path}: its processor scales twice (rescale_offset, include_top), which [input] cannot say")
    scale = processor.rescale_factor * 255 if processor.do_rescale else 255.0
    if processor.do_normalize:
        mean, std = ([value / scale for value in values] for values in (processor.image_mean, processor.image_std))
    else:
        mean, std = [0.0] * 3, [1 / scale] * 3
    return _geometry(processor, interpolation, path), tuple(mean), tuple(std)


def flips(processor: Any) -> bool:
    """Whether the network takes blue, green, red."""
    return bool(getattr(processor, "do_flip_channel_order", False))


def _geometry(processor: Any, interpolation: str, path: Path) -> Geometry:
    size = {key: value for key, value in dict(processor.size).items() if value}
    cut = dict(processor.crop_size) if getattr(processor, "do_center_crop", False) else None
    shorter = size.get("shortest_edge")
    family = type(processor).__name__
    if shorter and family.startswith("ConvNext"):
        if shorter >= CONVNEXT_STRETCHES_FROM:
            return Geometry((shorter, shorter), None, interpolation)
        return Geometry((shorter, shorter), int(shorter / processor.crop_pct), interpolation)
    if cut is None:
        if "height" not in size:
            raise ModelError(f"{path}: its processor keeps each picture's shape ({size}); needed one fixed size")
        return Geometry((size["height"], size["width"]), None, interpolation)
    if shorter is None and (size.get("height"), size.get("width")) == (cut["height"], cut["width"]):
        return Geometry((cut["height"], cut["width"]), None, interpolation)
    if shorter is None or getattr(processor, "crop_pct", None) is not None:
        raise ModelError(f"{path}: its processor stretches to {size} and then cuts {cut}, which [input] cannot say")
    if family.startswith("Levit"):
        shorter = int(LEVIT_SCALE * shorter)
    return Geometry((cut["height"], cut["width"]), shorter, interpolation)


def _labels(path: Path) -> dict[str, tuple[str, ...]]:
    config = _config(path)
    named = [str(config.id2label[index]) for index in range(config.num_labels)]
    if named == [f"LABEL_{index}" for index in range(config.num_labels)]:  # what transformers makes up for want of any
        return dict(names.of_classes(config.num_labels))
    return dict(names.imagenet(named))


def _activation(path: Path) -> str:
    return "sigmoid" if _config(path).problem_type == "multi_label_classification" else "softmax"


def _config(path: Path) -> Any:
    try:
        return AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises whatever a damaged folder provokes
        raise _refused(path, error) from error


def _processor(path: Path) -> Any:
    try:
        return AutoImageProcessor.from_pretrained(path, local_files_only=True, trust_remote_code=False, backend="pil")
    except Exception as error:  # transformers raises whatever a damaged folder provokes
        raise _refused(path, error) from error


def _refused(path: Path, error: Exception) -> ModelError:
    return ModelError(f"{path}: not a folder that transformers can load: {str(error).splitlines()[0]}")
