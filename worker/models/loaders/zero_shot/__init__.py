"""Load zero-shot networks: transformers' CLIP, Chinese-CLIP and SigLIP, and OpenCLIP's own folders.

The network that is served is only the image tower; the text tower is loaded only to embed new texts.
"""

from pathlib import Path
from types import ModuleType

import torch

from worker.contract.loaders.zero_shot import CLIP_FAMILIES, OPEN_CLIP_CONFIG, is_clip
from worker.contract.model_files import CONFIG, read_json
from worker.contract.toml_reader import ModelError
from worker.models.folder import ModelFolder
from worker.models.loaders import Description
from worker.models.loaders.zero_shot.tower import Tower


def load(folder: ModelFolder) -> torch.nn.Module:
    """Return the image tower: float32 [N, 3, H, W] -> features [N, D]. Raise ModelError if it cannot be loaded."""
    network: torch.nn.Module = _library(folder.weights).image_tower(folder.weights)
    return network.eval()


def load_text_tower(path: Path, threads: int) -> Tower:
    """Return the text tower, which runs on `threads` CPU threads. Raise ModelError if it cannot be loaded."""
    torch.set_num_threads(threads)
    tower: Tower = _library(path).text_tower(path)
    return tower


def describe(path: Path, architecture: str) -> Description:
    """Return the description from the folder's configuration. Raise ModelError if a file is missing or unsupported."""
    if not path.is_dir():
        raise ModelError(f"{path}: not a folder; needed one with {CONFIG} or {OPEN_CLIP_CONFIG}")
    description: Description = _library(path).describe(path)
    return description


def _library(path: Path) -> ModuleType:
    if is_clip(path):
        from worker.models.loaders.zero_shot import clip

        return clip
    if (path / OPEN_CLIP_CONFIG).is_file():
        from worker.models.loaders.zero_shot import open_clip_folder

        return open_clip_folder
    config = read_json(path / CONFIG)
    raise ModelError(
        f"{path / CONFIG}: found model_type {config.get('model_type')!r} of {config.get('architectures')}, needed "
        f"{', '.join(CLIP_FAMILIES)} with both towers, or a folder with {OPEN_CLIP_CONFIG}"
    )
