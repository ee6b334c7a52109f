"""Which loader a model at hand is for, told by its files' names, its config.json or the keys of its state dict."""

import json
from pathlib import Path
from typing import Any

from worker.contract.fields import ModelError

SUFFIXES = {".xml": "openvino", ".onnx": "onnx", ".pt2": "pt2"}
STATE_DICTS = (".safetensors", ".pth", ".pt", ".th", ".bin", ".tar")
MODELSCOPE_WEIGHTS = "pytorch_model.pt"
NETWORK_CODE = "network.py"
CONFIG, OPEN_CLIP_CONFIG = "config.json", "open_clip_config.json"
CLIP_FAMILIES = ("clip", "chinese_clip", "siglip")
NAFLEX = "siglip2"  # takes pictures of any shape, which no loader can; SigLIP 2 of one size is "siglip"


def snapshot(path: Path) -> Path:
    """`path`, or the snapshot its refs/main names when it is a model of a Hugging Face cache. Raises ModelError."""
    if not (path / "snapshots").is_dir():
        return path
    reference = path / "refs/main"
    if not reference.is_file():
        raise ModelError(f"{reference}: not found; name one of the folders in {path / 'snapshots'} instead")
    found = path / "snapshots" / reference.read_text().strip()
    if not found.is_dir():
        raise ModelError(f"{found}: not found, though {reference} names it; download the model again")
    return found


def loader_of(path: Path, architecture: str) -> str:
    """The loader for the file or folder `path`. Raises ModelError when nothing tells it."""
    if path.is_dir():
        return _of_folder(path)
    if path.suffix in SUFFIXES:
        return SUFFIXES[path.suffix]
    if path.suffix in STATE_DICTS:
        return "checkpoint" if architecture or _tells_its_architecture(path) else "torchvision"
    raise ModelError(
        f"{path}: not a kind of file known here; needed {', '.join((*SUFFIXES, *STATE_DICTS))}, or a folder"
    )


def config(path: Path) -> dict[str, Any]:
    """The JSON object in the file `path`. Raises ModelError."""
    if not path.is_file():
        raise ModelError(f"{path}: not found; copy it from where the model came from")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path}: not valid JSON: {error}; copy the file again") from error
    if not isinstance(found, dict):
        raise ModelError(f"{path}: found a {type(found).__name__}, needed a JSON object")
    return found


def file_in(path: Path, suffixes: tuple[str, ...]) -> Path:
    """`path` if it is a file, or the one file of a folder that ends in one of `suffixes`. Raises ModelError."""
    if path.is_file():
        return path
    found = sorted(file for file in path.iterdir() if file.suffix in suffixes)
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise ModelError(f"{path}: needed one file ending in {' or '.join(suffixes)}, found {names}; name the file")
    return found[0]


def is_clip(path: Path) -> bool:
    """Whether the folder holds a network with an image and a text tower, as transformers saves them."""
    return _clip_family(path) in CLIP_FAMILIES


def _tells_its_architecture(weights: Path) -> bool:
    from worker.models.loaders import efficientnet, state_dict  # which import torch, as reading weights does anyway

    return efficientnet.is_spelled(state_dict.read_state_dict(weights))


def _clip_family(path: Path) -> object:
    known = config(path / CONFIG) if (path / CONFIG).is_file() else {}
    # Without its text tower, and with a layer for classes, the same family is an ordinary classifier.
    classifies = any(str(name).endswith("ForImageClassification") for name in known.get("architectures") or ())
    return None if classifies else known.get("model_type")


def _of_folder(path: Path) -> str:
    if (path / NETWORK_CODE).is_file():
        return "checkpoint"
    if (path / OPEN_CLIP_CONFIG).is_file() or _clip_family(path) in (*CLIP_FAMILIES, NAFLEX):
        return "zero_shot"
    if (path / CONFIG).is_file():
        known = config(path / CONFIG)
        if "architecture" in known:
            return "timm"
        if "model_type" in known:
            return "transformers"
    if (path / MODELSCOPE_WEIGHTS).is_file():
        return "modelscope"
    kinds = {SUFFIXES[file.suffix] for file in path.iterdir() if file.suffix in SUFFIXES}
    if len(kinds) == 1:
        return kinds.pop()
    raise ModelError(
        f"{path}: cannot tell what kind of model this is; needed a config.json with model_type (transformers) or "
        f"architecture (timm), a {MODELSCOPE_WEIGHTS} (modelscope), or a {', '.join(SUFFIXES)} file: name the loader"
    )
