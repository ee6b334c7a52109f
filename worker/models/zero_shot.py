"""`[zero_shot]` of model.toml, and what it leads to: labels as texts, their embeddings, and logits from both.

A zero-shot network gives the features of an image; its classes are texts. Embedding texts needs torch and the text
tower, so the result is kept in a file named after all that it depends on.
"""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from worker.contract.fields import Fields

PLACE = "{}"  # where a template takes the label
FOLDER = "texts"  # of embeddings, in a model folder and in a worker's cache
BATCH = 8  # texts between two looks at the clock

Watch = Callable[[float], object]  # hears the share of the texts that is embedded; what it raises ends the embedding


@dataclass(frozen=True)
class ZeroShot:
    """Which language's labels the text tower reads, each put into every one of `templates`."""

    language: str
    templates: tuple[str, ...]


@dataclass(frozen=True)
class TextHead:
    """What makes logits of features: `texts` float32 [classes, D] of length 1, and the network's scale and bias.

    The zero-shot classifier of CLIP (arXiv:2103.00020, 3.1.2) and, with a bias, of SigLIP (arXiv:2303.15343, 3.2).
    """

    texts: np.ndarray
    scale: float
    bias: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Float32 logits [..., classes] of `features` [..., D], whatever their length."""
        unit = features / np.linalg.norm(features, axis=-1, keepdims=True)
        return np.float32(self.scale) * (unit @ self.texts.T) + np.float32(self.bias)

    def save(self, path: Path) -> None:
        """Write it to `path`, all at once: another process may read there. Raises OSError."""
        buffer = io.BytesIO()
        np.savez(buffer, texts=self.texts, scale=self.scale, bias=self.bias)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            draft.write_bytes(buffer.getvalue())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


class TextTower(Protocol):
    """The part of a zero-shot network that reads texts; `scale` and `bias` make logits of likenesses."""

    scale: float
    bias: float

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Float32 [N, D] of length 1."""
        ...


def unwatched(share: float) -> None:
    """The Watch of an embedding that nothing ends."""


def embed(tower: TextTower, labels: Sequence[str], templates: Sequence[str], watch: Watch) -> TextHead:
    """The head of `labels`: of each, the mean over all templates, brought to length 1 again.

    So do CLIP's authors (notebooks/Prompt_Engineering_for_ImageNet.ipynb). `watch` is asked before every batch.
    """
    texts = [template.replace(PLACE, label) for label in labels for template in templates]
    sums: dict[int, np.ndarray] = {}
    for start in range(0, len(texts), BATCH):
        watch(start / len(texts))
        for number, row in enumerate(tower.embed(texts[start : start + BATCH]), start):
            label = number // len(templates)
            sums[label] = sums[label] + row if label in sums else row
    means = np.stack([sums[label] for label in range(len(labels))])
    unit = means / np.linalg.norm(means, axis=-1, keepdims=True)
    return TextHead(unit.astype(np.float32), tower.scale, tower.bias)


def saved_head(path: Path) -> TextHead | None:
    """The head in the file `path`; None when there is none, or none that can be read."""
    try:
        with np.load(path, allow_pickle=False) as held:
            return TextHead(held["texts"], float(held["scale"]), float(held["bias"]))
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile):
        return None


def head_file(files: Mapping[str, str], labels: Sequence[str], templates: Sequence[str]) -> str:
    """The file name of the head of `labels` in `templates`, for a model whose `files` have these sha256.

    Only files at the top of the folder count: weights, vocabulary, configuration. What lies in folders, such as golden
    images and prepared networks, changes no text.
    """
    own = {name: digest for name, digest in files.items() if "/" not in name}
    about = json.dumps([own, list(labels), list(templates)], sort_keys=True)
    return f"{FOLDER}/{hashlib.sha256(about.encode()).hexdigest()}.npz"


def template_fault(template: str) -> str | None:
    """What is wrong with `template`, or None: a sentence's end."""
    if template.count(PLACE) != 1:
        return f"must hold {PLACE} once, where the label goes, found {template!r}"
    return None


def read_zero_shot(fields: Fields, languages: Sequence[str]) -> ZeroShot:
    """The table as a ZeroShot, of a model with labels in `languages`; faults go to `fields`."""
    templates = fields.texts("templates")
    for template in templates:
        if fault := template_fault(template):
            fields.fault("templates", fault)
    return ZeroShot(fields.choice("language", languages), templates)
