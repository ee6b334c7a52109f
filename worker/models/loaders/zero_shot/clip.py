"""Load CLIP, Chinese-CLIP and SigLIP from a folder of transformers with a network, an image processor and a tokenizer.

SigLIP 2 networks of one image size count as SigLIP, as in transformers; those of any shape (NaFlex) are unsupported.
"""

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

from worker.contract.loaders.zero_shot import PROCESSOR
from worker.contract.model_files import CONFIG, PREPROCESSOR, read_json
from worker.contract.toml_reader import ModelError
from worker.models.loaders import Description
from worker.models.loaders.image_processor import preprocessing
from worker.models.loaders.transformers import (
    load_error,
    load_pretrained,
    read_processor,
    weights_and_index,
)
from worker.models.loaders.zero_shot.tower import Tower

SIGLIP = "siglip"
VOCABULARY = {"clip": ("vocab.json", "merges.txt"), "chinese_clip": ("vocab.txt",), SIGLIP: ("spiece.model",)}
TOKENIZER_JSON = "tokenizer.json"  # a whole tokenizer in one file
TOKENIZER_FILES = (
    TOKENIZER_JSON, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model",
    *(name for names in VOCABULARY.values() for name in names),
)  # fmt: skip


class ImageTower(torch.nn.Module):
    """The image tower of a CLIP-like network: float32 [N, 3, H, W] -> features [N, D]."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        del network.text_model  # to halve the memory
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.network.get_image_features(pixel_values=pixels).pooler_output


def image_tower(path: Path) -> torch.nn.Module:
    """Return the image tower in the folder `path`. Raise ModelError if it cannot be loaded."""
    return ImageTower(load_pretrained(AutoModel, path))


def text_tower(path: Path) -> Tower:
    """Return the text tower in the folder `path` with its tokenizer. Raise ModelError if it cannot be loaded."""
    network = load_pretrained(AutoModel, path).eval()
    del network.vision_model
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a damaged folder may make transformers raise anything
        raise load_error(path, error) from error
    config = network.config.text_config
    if len(tokenizer) > config.vocab_size:
        raise ModelError(
            f"{path}: its tokenizer has {len(tokenizer)} tokens, its text tower supports {config.vocab_size}; "
            "copy both from the same model"
        )
    max_tokens = min(tokenizer.model_max_length, config.max_position_embeddings)
    padding = "max_length" if _family(path) == SIGLIP else True  # SigLIP was trained with padded texts

    def encode(texts: list[str]) -> torch.Tensor:
        tokens = tokenizer(texts, padding=padding, max_length=max_tokens, truncation=True, return_tensors="pt")
        return network.get_text_features(**tokens).pooler_output

    return Tower(encode, network.logit_scale, getattr(network, "logit_bias", None))


def describe(path: Path) -> Description:
    """Return the description from the folder's JSON files. Raise ModelError if a file is missing or unsupported."""
    read_json(path / (PROCESSOR if (path / PROCESSOR).is_file() else PREPROCESSOR))
    _require_vocabulary(path)
    geometry, mean, std = preprocessing(read_processor(path), path)
    image_size = AutoConfig.from_pretrained(path, local_files_only=True).vision_config.image_size
    expected_size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if geometry.size != expected_size:
        raise ModelError(
            f"{path}: its processor gives {' x '.join(map(str, geometry.size))} pixels, its image tower takes "
            f"{' x '.join(map(str, expected_size))}; copy {PREPROCESSOR} from where the model came from"
        )
    names = (CONFIG, PREPROCESSOR, PROCESSOR, *TOKENIZER_FILES)
    sources = [*(path / name for name in names if (path / name).is_file()), *weights_and_index(path)]
    family = _family(path)
    return Description(
        loader="zero_shot", architecture="", weights=".", files={file.name: file for file in sources},
        geometry=geometry, mean=mean, std=std, labels={}, activation="sigmoid" if family == SIGLIP else "softmax",
        text_language="zh" if family == "chinese_clip" else "en",
    )  # fmt: skip


def _family(path: Path) -> str:
    return str(read_json(path / CONFIG)["model_type"])


def _require_vocabulary(path: Path) -> None:
    """Raise ModelError unless the tokenizer's files exist: else transformers silently makes a nearly empty one."""
    needed = VOCABULARY[_family(path)]
    if not (path / TOKENIZER_JSON).is_file() and not all((path / name).is_file() for name in needed):
        raise ModelError(
            f"{path}: has no tokenizer to read labels with; needed {' and '.join(needed)}, or {TOKENIZER_JSON}"
        )
