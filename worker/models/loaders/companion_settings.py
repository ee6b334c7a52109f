"""Read labels and preprocessing from the files that exporters write beside a network.

They are config.json and preprocessor_config.json of transformers and optimum, config.json of timm, inference.yml of
PaddleClas, and metadata.yaml of Ultralytics.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from worker.contract.model_files import CONFIG, PREPROCESSOR, read_json
from worker.contract.toml_reader import ModelError
from worker.decode import Geometry
from worker.models.labels import SIGMOID, SOFTMAX
from worker.models.loaders import imagenet_labels

PADDLE_SETTINGS, ULTRALYTICS_SETTINGS = "inference.yml", "metadata.yaml"
CLASSIFY = "classify"  # Ultralytics' name of the task
SUBFOLDERS = ("onnx", "openvino")  # networks may lie in one of these, below their settings
BYTE_RANGE = 255.0


@dataclass(frozen=True)
class Settings:
    """What the file `source` says; what it leaves out is None or empty."""

    source: str
    geometry: Geometry | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    activation: str = SOFTMAX


def settings_beside(network: Path) -> Settings | None:
    """Return the settings of the model that `network` belongs to, None if there are none.

    Raise ModelError if a file is broken or its preprocessing cannot be expressed.
    """
    folder = network.parent
    if folder.name in SUBFOLDERS and (folder.parent / CONFIG).is_file():
        folder = folder.parent
    if (folder / ULTRALYTICS_SETTINGS).is_file():
        return _of_ultralytics(folder / ULTRALYTICS_SETTINGS)
    if (folder / PADDLE_SETTINGS).is_file():
        return _of_paddle(folder / PADDLE_SETTINGS)
    config = read_json(folder / CONFIG) if (folder / CONFIG).is_file() else {}
    if "pretrained_cfg" in config:
        return _of_timm(config, folder)
    return _of_transformers(config, folder) if "model_type" in config else None


def _of_transformers(config: Mapping[str, Any], folder: Path) -> Settings:
    names = config.get("id2label") or {}
    try:
        labels = [str(name) for _, name in sorted(names.items(), key=lambda pair: int(pair[0]))]
    except (AttributeError, ValueError) as error:
        raise ModelError(f"{folder / CONFIG}: id2label needs a label for each class index: found {names}") from error
    placeholders = labels == [f"LABEL_{index}" for index in range(len(labels))]
    known = imagenet_labels.of_classes(len(labels)) if placeholders else imagenet_labels.imagenet(labels)
    activation = SIGMOID if config.get("problem_type") == "multi_label_classification" else SOFTMAX
    settings = Settings(CONFIG, labels=known, activation=activation)
    if not (folder / PREPROCESSOR).is_file():
        return settings
    from worker.models import torchvision_ops

    torchvision_ops.make_importable()
    from worker.models.loaders import image_processor, transformers

    processor = transformers.read_processor(folder)
    if image_processor.flips(processor):
        raise ModelError(
            f"{folder}: its processor gives the channels as blue, green, red, which an exported network cannot be "
            "served with: add the folder with the weights that it was exported from (model.safetensors)"
        )
    geometry, mean, std = image_processor.preprocessing(processor, folder, config.get("num_channels", 3))
    return Settings(PREPROCESSOR, geometry, mean, std, known, activation)


def _of_timm(config: Mapping[str, Any], folder: Path) -> Settings:
    from worker.models import torchvision_ops

    torchvision_ops.make_importable()
    from worker.models.loaders import timm

    stated = config["pretrained_cfg"]
    geometry, mean, std = timm.preprocessing(dict(stated), folder)
    english = config.get("label_names") or stated.get("label_names") or stated.get("labels")
    classes = config.get("num_classes") or stated.get("num_classes") or 0
    labels = imagenet_labels.imagenet(english) if english else imagenet_labels.of_classes(classes)
    return Settings(CONFIG, geometry, mean, std, labels)


def _of_ultralytics(path: Path) -> Settings | None:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or not content.keys() >= {"task", "names", "imgsz"}:
            return None  # a file of another tool
        return ultralytics_settings(path, content["task"], content["names"], content["imgsz"])
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: not valid YAML: {error}; export the model again") from error


def ultralytics_settings(source: Path, task: str, names: Any, sides: Any) -> Settings:
    """Return the settings of an Ultralytics classifier: its labels, and the preprocessing of its classify_transforms.

    Raise ModelError, naming `source`, if it is of another task.
    """
    if task != CLASSIFY:
        raise ModelError(f"{source}: says task {task}, needed {CLASSIFY}: export a classifier (-cls)")
    try:
        labels = tuple(str(names[index]) for index in sorted(names))
        height, width = sides
    except (TypeError, ValueError, KeyError) as error:
        raise ModelError(f"{source}: its names or imgsz cannot be read: {error}; export the model again") from error
    geometry = Geometry((height, width), height if height == width else None, "bilinear")
    return Settings(source.name, geometry, (0.0,) * 3, (1.0,) * 3, {"en": labels})


def _of_paddle(path: Path) -> Settings:
    """Return the settings in PaddleClas's inference.yml: its PreProcess steps, and the labels of its PostProcess."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        steps = {name: values or {} for step in content["PreProcess"]["transform_ops"] for name, values in step.items()}
        post = content.get("PostProcess") or {}
        lists = [part["label_list"] for part in post.values() if isinstance(part, dict) and "label_list" in part]
        labels = [str(label) for label in lists[0]] if lists else []
        normalise, resize = steps.get("NormalizeImage", {}), steps.get("ResizeImage", {})
        scale = float(normalise.get("scale", 1 / BYTE_RANGE)) * BYTE_RANGE
        mean, std = (tuple(float(value) / scale for value in normalise[key]) for key in ("mean", "std"))
        geometry = _paddle_geometry(resize, steps.get("CropImage"))
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path}: cannot be read as PaddleClas writes it: {error!r}; export the model again, or move this file away"
        ) from error
    multi_label = "MultiLabelThreshOutput" in post
    names = imagenet_labels.imagenet(labels) if labels else {}
    return Settings(path.name, geometry, mean, std, names, SIGMOID if multi_label else SOFTMAX)


def _paddle_geometry(resize: Mapping[str, Any], crop: Mapping[str, Any] | None) -> Geometry:
    """Return the geometry of ResizeImage and CropImage; sizes are one side, or [width, height]."""
    interpolation = str(resize.get("interpolation") or "bilinear").lower()
    scaled = _sides(resize["size"]) if resize.get("size") else int(resize["resize_short"])
    if crop is None:
        size = scaled if isinstance(scaled, tuple) else (scaled, scaled)
        return Geometry(size, None if isinstance(scaled, tuple) else scaled, interpolation)
    size = _sides(crop["size"])
    return Geometry(size, None if scaled == size else scaled, interpolation)


def _sides(size: int | list[int]) -> tuple[int, int]:
    width, height = (size, size) if isinstance(size, int) else size
    return int(height), int(width)
