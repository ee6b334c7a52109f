"""Load OpenCLIP's own folders (its `local-dir:`): open_clip_config.json, weights, and a tokenizer's files, if any.

OpenCLIP networks without a tokenizer of their own use the library's built-in one.
"""

from pathlib import Path
from typing import Any

import open_clip
import torch

from worker.contract.loaders.zero_shot import OPEN_CLIP_CONFIG
from worker.contract.model_files import read_json
from worker.contract.toml_reader import ModelError
from worker.decode import INTERPOLATIONS, Geometry
from worker.models.loaders import Description
from worker.models.loaders.state_dict import check_weights
from worker.models.loaders.zero_shot.clip import TOKENIZER_FILES
from worker.models.loaders.zero_shot.tower import Tower

# In the order in which OpenCLIP looks for them in a folder.
WEIGHTS = (
    "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth", "model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth",
)  # fmt: skip
VOCABULARY_FILES = ("tokenizer.json", "spiece.model", "tokenizer.model", "vocab.txt")  # each is a whole vocabulary
MAX_REASON = 300  # characters of the library's error message


def image_tower(path: Path) -> torch.nn.Module:
    """Return the image tower in the folder `path`. Raise ModelError if it cannot be loaded."""
    tower: torch.nn.Module = _network(path).visual
    return tower


def text_tower(path: Path) -> Tower:
    """Return the text tower in the folder `path` with its tokenizer. Raise ModelError if it cannot be loaded."""
    network = _network(path).eval()
    del network.visual
    try:
        tokenizer = open_clip.get_tokenizer(f"{open_clip.factory.LOCAL_DIR_PREFIX}{path}")
    except Exception as error:  # a damaged folder may make OpenCLIP raise anything
        raise _load_error(path, error) from error
    vocabulary = read_json(path / OPEN_CLIP_CONFIG)["model_cfg"]["text_cfg"].get("vocab_size")
    size = len(tokenizer.tokenizer) if hasattr(tokenizer, "tokenizer") else tokenizer.vocab_size
    if vocabulary is not None and size > vocabulary:
        raise ModelError(
            f"{path}: its tokenizer has {size} tokens, its text tower supports {vocabulary}; "
            "copy both from the same model"
        )
    return Tower(lambda texts: network.encode_text(tokenizer(texts)), network.logit_scale, network.logit_bias)


def describe(path: Path) -> Description:
    """Return the description from open_clip_config.json. Raise ModelError if a file is missing or unsupported."""
    config = read_json(path / OPEN_CLIP_CONFIG).get("model_cfg")
    if not isinstance(config, dict):
        raise ModelError(f"{path / OPEN_CLIP_CONFIG}: has no model_cfg; copy it from where the model came from")
    if "multimodal_cfg" in config:
        raise ModelError(f"{path}: generates texts (multimodal_cfg); needed a network that compares images with texts")
    text = config.get("text_cfg", {})
    if text_model := text.get("hf_model_name"):
        raise ModelError(
            f"{path}: its text tower is built from {text_model!r}, which is not in the folder; needed OpenCLIP's"
        )
    weights = _weights(path)
    own_tokenizer = bool(text.get("hf_tokenizer_name"))
    if own_tokenizer and not any((path / name).is_file() for name in VOCABULARY_FILES):
        raise ModelError(
            f"{path}: has no tokenizer to read labels with; needed one of {', '.join(VOCABULARY_FILES)}, "
            "and the files next to it"
        )
    geometry, mean, std = preprocessing(_network(path).visual.preprocess_cfg, path)
    names = (OPEN_CLIP_CONFIG, weights.name, *(TOKENIZER_FILES if own_tokenizer else ()))
    return Description(
        loader="zero_shot", architecture="", weights=".",
        files={name: path / name for name in names if (path / name).is_file()},
        geometry=geometry, mean=mean, std=std, labels={},
        activation="sigmoid" if "init_logit_bias" in config else "softmax",  # only SigLIP has the bias
        text_language="en",
    )  # fmt: skip


def preprocessing(config: dict[str, Any], path: Path) -> tuple[Geometry, tuple[float, ...], tuple[float, ...]]:
    """Return the geometry, mean and std of OpenCLIP's preprocess_cfg.

    Raise ModelError if [input] cannot express them.
    """
    size, mode = config["size"], config["resize_mode"]
    height, width = (size, size) if isinstance(size, int) else size
    if mode != "squash" and (mode != "shortest" or height != width):
        raise ModelError(
            f"{path}: resize_mode {mode!r} to {height} x {width} pixels cannot be expressed in model.toml's [input]"
        )
    interpolation = config["interpolation"]
    if interpolation not in INTERPOLATIONS:
        raise ModelError(f"{path}: interpolation {interpolation!r} is none of {', '.join(INTERPOLATIONS)}")
    mean, std = (
        tuple(values) if isinstance(values, (list, tuple)) else (values,) * 3
        for values in (config["mean"], config["std"])
    )
    return Geometry((height, width), None if mode == "squash" else height, interpolation), mean, std


def _network(path: Path) -> Any:
    """Return the whole network. Raise ModelError if it cannot be loaded."""
    check_weights(_weights(path))
    try:
        return open_clip.create_model(f"{open_clip.factory.LOCAL_DIR_PREFIX}{path}", require_pretrained=True)
    except Exception as error:  # a damaged folder may make OpenCLIP raise anything
        raise _load_error(path, error) from error


def _weights(path: Path) -> Path:
    found = next((path / name for name in WEIGHTS if (path / name).exists()), None)
    if found is None:
        raise ModelError(f"{path}: has no weights; needed one of {', '.join(WEIGHTS)}")
    return found


def _load_error(path: Path, error: Exception) -> ModelError:
    reason = " ".join(str(error).split())
    return ModelError(
        f"{path}: not a folder that OpenCLIP can load: {reason[:MAX_REASON]}{'...' if len(reason) > MAX_REASON else ''}"
    )
