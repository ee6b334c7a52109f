"""Declare the loader of zero-shot networks: transformers' CLIP, Chinese-CLIP and SigLIP, and OpenCLIP's folders."""

from pathlib import Path

from worker.contract.declarations import LoaderDeclaration
from worker.contract.model_files import CONFIG, PREPROCESSOR, read_config

OPEN_CLIP_CONFIG = "open_clip_config.json"
PROCESSOR = "processor_config.json"  # transformers 5 writes the processor of images and texts here
CLIP_FAMILIES = ("clip", "chinese_clip", "siglip")
NAFLEX = "siglip2"  # takes images of any shape, which no loader supports; SigLIP 2 of one size is "siglip"


def is_clip(folder: Path) -> bool:
    """Return whether `folder` holds a network of transformers with both an image and a text tower."""
    return _family(folder) in CLIP_FAMILIES


def _family(folder: Path) -> object:
    known = read_config(folder)
    # With a classification head in place of the text tower, the same family is an ordinary classifier.
    classifies = any(str(name).endswith("ForImageClassification") for name in known.get("architectures") or ())
    return None if classifies else known.get("model_type")


def _detects(folder: Path) -> bool:
    return (folder / OPEN_CLIP_CONFIG).is_file() or _family(folder) in (*CLIP_FAMILIES, NAFLEX)


LOADER = LoaderDeclaration(
    name="zero_shot",
    precedence=20,
    detects=_detects,
    marker=f"{OPEN_CLIP_CONFIG}, or {CONFIG} with model_type {', '.join(CLIP_FAMILIES)}",
    reads_texts=True,
    settings=(
        CONFIG, PREPROCESSOR, PROCESSOR, OPEN_CLIP_CONFIG, "tokenizer.json", "tokenizer_config.json",
        "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt",
        "*.model",  # sentencepiece
    ),
    weights=(r"open_clip_(pytorch_)?model\.safetensors", r"open_clip_pytorch_model\.bin"),
)  # fmt: skip
