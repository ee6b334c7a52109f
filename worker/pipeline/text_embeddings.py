"""The text heads of a zero-shot model: the head of its own labels, and those of labels sent with requests.

A head comes from memory, the model folder or the cache on disk. Only if none of them has it does the text tower embed
the labels.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from worker.contract.errors import ErrorCode, ServiceError
from worker.contract.toml_reader import ModelError
from worker.models.folder import ModelFolder
from worker.models.zero_shot import (
    FOLDER,
    Embedding,
    TextHead,
    TextTower,
    ZeroShot,
    embed,
    head_file,
    ignore_progress,
    load_head,
)
from worker.pipeline.admission import Deadline
from worker.pipeline.embedding_jobs import EmbeddingJobs, Job

MEMORY_ENTRIES, DISK_ENTRIES = 32, 256  # heads; one with the largest number of labels takes about 1 MB

log = logging.getLogger(__name__)


class TextHeads:
    """The text heads of the model in `folder`, saved in the directory `cache` unless that is ""."""

    def __init__(self, folder: ModelFolder, zero_shot: ZeroShot, cache: str, tower: Callable[[], TextTower]) -> None:
        self._folder, self._zero_shot, self._cache = folder, zero_shot, cache
        self._load = tower
        self._tower: TextTower | None = None
        self._memory: OrderedDict[str, TextHead] = OrderedDict()
        self._lock = threading.Lock()
        self._jobs = EmbeddingJobs(self._step)
        self.own_head = self._own_head()

    def _own_head(self) -> TextHead:
        labels, templates = self._folder.output.labels.names[self._zero_shot.language], self._zero_shot.templates
        name = head_file(self._folder.files, labels, templates)
        if found := self._find(name):
            return found
        try:
            return self._keep(name, embed(self._loaded_tower(), labels, templates, ignore_progress))
        except ImportError as error:
            raise ModelError(
                f"{self._folder.path}: found no embeddings of its labels in its templates, needed them or torch to "
                "make them: add the model again"
            ) from error

    def known(self, labels: Sequence[str], template: str | None) -> TextHead | None:
        """Return the head of `labels` in `template`, in the model's own if that is None; None if not saved."""
        return self._find(self._name(labels, template))

    def head(self, labels: Sequence[str], template: str | None, deadline: Deadline) -> TextHead:
        """Return the head as `known` does; embed the labels if it is not saved.

        Raise ServiceError BAD_PARAMETER if the labels must be embedded and torch is not installed, CLIENT_GONE, or
        DEADLINE; after that the embedding goes on, for the next request with the same labels.
        """
        embedding = Embedding(labels, self._templates(template))
        try:
            return self._jobs.head(self._name(labels, template), embedding, deadline)
        except ImportError as error:
            raise ServiceError(
                ErrorCode.BAD_PARAMETER,
                "found new candidate_labels, needed torch to read them, which this worker runs without: "
                "send labels that it has met before, or leave candidate_labels out",
            ) from error

    def _templates(self, template: str | None) -> Sequence[str]:
        return (template,) if template else self._zero_shot.templates

    def _name(self, labels: Sequence[str], template: str | None) -> str:
        return head_file(self._folder.files, labels, self._templates(template))

    def _step(self, job: Job) -> TextHead | None:
        """Embed a few texts of `job`; return the head if it is done, or found, for other workers save theirs, too."""
        if found := self._find(job.name):
            return found
        tower = self._loaded_tower()
        job.embedding.step(tower)
        done = job.embedding.done == job.embedding.total
        return self._keep(job.name, job.embedding.head(tower)) if done else None

    def _loaded_tower(self) -> TextTower:
        self._tower = self._tower or self._load()
        return self._tower

    def _keep(self, name: str, head: TextHead) -> TextHead:
        self._save(name, head)
        return self._remember(name, head)

    def _find(self, name: str) -> TextHead | None:
        with self._lock:
            if name in self._memory:
                self._memory.move_to_end(name)
                return self._memory[name]
        directories = [self._folder.path] if name in self._folder.files else []
        directories += [Path(self._cache)] if self._cache else []
        head = next(filter(None, (load_head(directory / name) for directory in directories)), None)
        return self._remember(name, head) if head else None

    def _remember(self, name: str, head: TextHead) -> TextHead:
        with self._lock:
            self._memory[name] = head
            if len(self._memory) > MEMORY_ENTRIES:
                self._memory.popitem(last=False)
        return head

    def _save(self, name: str, head: TextHead) -> None:
        """Save `head` in the cache; delete the oldest heads beyond DISK_ENTRIES."""
        if not self._cache:
            return
        try:
            head.save(Path(self._cache) / name)
            saved = sorted((Path(self._cache) / FOLDER).glob("*.npz"), key=lambda path: path.stat().st_mtime)
            for old in saved[:-DISK_ENTRIES]:
                old.unlink(missing_ok=True)
        except OSError as error:  # the head can be made again, so the request is still answered
            log.warning("cannot save text embeddings: %s", error)


def open_text_heads(folder: ModelFolder, cache: str, threads: int) -> TextHeads | None:
    """Return the text heads of a zero-shot model, None for any other model; raise ModelError.

    The text tower runs on `threads` threads.
    """
    if folder.zero_shot is None:
        return None

    def tower() -> TextTower:
        from worker.models.loaders import load_text_tower

        return load_text_tower(folder.loader, folder.weights, threads)

    return TextHeads(folder, folder.zero_shot, cache, tower)
