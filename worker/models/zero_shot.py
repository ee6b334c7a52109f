"""`[zero_shot]` of model.toml: labels as texts, their embeddings, and logits from image features and embeddings.

A zero-shot network computes the features of an image; its classes are texts. Embedding texts needs torch and the text
tower, so the result is cached in a file whose name is a hash of everything it depends on.
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

from worker.contract.toml_reader import TomlReader

PLACEHOLDER = "{}"  # the place of the label in a template
FOLDER = "texts"  # the folder of embeddings in a model folder and in a worker's cache
BATCH = 8  # texts per call of the text tower, and between two calls of OnProgress

OnProgress = Callable[
    [float], object
]  # called with the share of texts embedded so far; its exceptions end the embedding


@dataclass(frozen=True)
class ZeroShot:
    """The language of the labels that the text tower reads, and the templates, each filled with every label."""

    language: str
    templates: tuple[str, ...]


@dataclass(frozen=True)
class TextHead:
    """The classifier head of a zero-shot network: `texts`, float32 unit vectors [classes, D], with scale and bias.

    Source: the zero-shot classifiers of CLIP (arXiv:2103.00020, 3.1.2) and, with bias, SigLIP (arXiv:2303.15343, 3.2).
    """

    texts: np.ndarray
    scale: float
    bias: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return the float32 logits [..., classes] of `features` [..., D], which need not be unit vectors."""
        unit = features / np.linalg.norm(features, axis=-1, keepdims=True)
        return np.float32(self.scale) * (unit @ self.texts.T) + np.float32(self.bias)

    def save(self, path: Path) -> None:
        """Write the head to `path` atomically, since another process may read it. Raise OSError if that fails."""
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
    """The part of a zero-shot network that reads texts; logits are similarities times `scale` plus `bias`."""

    scale: float
    bias: float

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the embeddings of the N `texts`: float32 unit vectors [N, D]."""
        ...


def ignore_progress(share: float) -> None:
    """Do nothing: an OnProgress that never ends an embedding."""


def embed(tower: TextTower, labels: Sequence[str], templates: Sequence[str], on_progress: OnProgress) -> TextHead:
    """Return the head of `labels`: for each, the normalised mean of its embeddings in all templates.

    The method is that of CLIP's authors (notebooks/Prompt_Engineering_for_ImageNet.ipynb). `on_progress` is called
    before every batch, and its exceptions are raised.
    """
    embedding = Embedding(labels, templates)
    while embedding.done < embedding.total:
        on_progress(embedding.done / embedding.total)
        embedding.step(tower)
    return embedding.head(tower)


class Embedding:
    """The embedding of `labels` in `templates`, BATCH texts at a time: `done` of `total` texts so far."""

    def __init__(self, labels: Sequence[str], templates: Sequence[str]) -> None:
        self.done, self.total = 0, len(labels) * len(templates)
        self._labels, self._templates = labels, templates
        self._sums: list[np.ndarray] = []  # of each label's rows so far

    def step(self, tower: TextTower) -> None:
        """Embed the next texts."""
        numbers = range(self.done, min(self.done + BATCH, self.total))
        for number, row in zip(numbers, tower.embed([self._text(number) for number in numbers]), strict=True):
            label = number // len(self._templates)
            if label == len(self._sums):
                self._sums.append(row)
            else:
                self._sums[label] = self._sums[label] + row
        self.done = numbers.stop

    def head(self, tower: TextTower) -> TextHead:
        """Return the head, once all texts are embedded."""
        means = np.stack(self._sums)
        unit = means / np.linalg.norm(means, axis=-1, keepdims=True)
        return TextHead(unit.astype(np.float32), tower.scale, tower.bias)

    def _text(self, number: int) -> str:
        label, template = divmod(number, len(self._templates))
        return self._templates[template].replace(PLACEHOLDER, self._labels[label])


def load_head(path: Path) -> TextHead | None:
    """Return the head in the file `path`; None if the file is missing or cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return TextHead(archive["texts"], float(archive["scale"]), float(archive["bias"]))
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile):
        return None


def head_file(files: Mapping[str, str], labels: Sequence[str], templates: Sequence[str]) -> str:
    """Return the relative path of the head of `labels` in `templates`, for a model with `files` (sha256 by path).

    Only files at the top of the folder count: weights, vocabulary, configuration. Files in subfolders, such as golden
    images and prepared networks, do not affect embeddings.
    """
    top_level = {name: digest for name, digest in files.items() if "/" not in name}
    key = json.dumps([top_level, list(labels), list(templates)], sort_keys=True)
    return f"{FOLDER}/{hashlib.sha256(key.encode()).hexdigest()}.npz"


def template_fault(template: str) -> str | None:
    """Return the fault of `template` as the end of a sentence, None if it has none."""
    if template.count(PLACEHOLDER) != 1:
        return f"must contain {PLACEHOLDER} once, where the label goes, found {template!r}"
    return None


def read_zero_shot(reader: TomlReader, languages: Sequence[str]) -> ZeroShot:
    """Return the table as a ZeroShot of a model with labels in `languages`; add faults to `reader`."""
    templates = reader.texts("templates")
    for template in templates:
        if fault := template_fault(template):
            reader.fault("templates", fault)
    return ZeroShot(reader.choice("language", languages), templates)
