"""The heads of a zero-shot model: its own, and those of labels that come with requests.

A head is taken from memory, from the model folder or from the cache; only where none of them has it do the texts go
through the text tower, one request after the other on a thread of their own.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from worker.contract.errors import ErrorCode, ServiceError
from worker.contract.fields import ModelError
from worker.models.folder import ModelFolder
from worker.models.zero_shot import (
    FOLDER,
    TextHead,
    TextTower,
    Watch,
    ZeroShot,
    embed,
    head_file,
    saved_head,
    unwatched,
)
from worker.pipeline.admission import Deadline

MEMORY_ENTRIES, DISK_ENTRIES = 32, 256  # heads in memory, and in the cache; a head of the most labels takes about 1 MB

log = logging.getLogger(__name__)


class Texts:
    """The heads of `folder`; what `tower` embeds is kept in the folder `cache`, or nowhere when that is ""."""

    def __init__(self, folder: ModelFolder, zero_shot: ZeroShot, cache: str, tower: Callable[[], TextTower]) -> None:
        self._folder, self._zero_shot, self._cache = folder, zero_shot, cache
        self._load = tower
        self._tower: TextTower | None = None
        self._held: OrderedDict[str, TextHead] = OrderedDict()
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="texts")
        try:
            self.own = self._find_or_make(
                folder.output.labels.names[zero_shot.language], zero_shot.templates, unwatched
            )
        except ImportError as error:
            raise ModelError(
                f"{folder.path}: holds no embeddings of its labels in its templates, and torch, which makes them, is "
                "not here: add the model again"
            ) from error

    def head(self, labels: Sequence[str], template: str | None, deadline: Deadline) -> TextHead:
        """The head of `labels` in `template`, or in the model's own templates when that is None.

        Raises ServiceError DEADLINE, and BAD_PARAMETER where torch is not installed.
        """
        templates = (template,) if template else self._zero_shot.templates
        name = head_file(self._folder.files, labels, templates)
        if found := self._known(name):
            return found
        future = self._thread.submit(self._find_or_make, labels, templates, lambda share: deadline.left())
        try:
            return future.result(timeout=deadline.left())
        except TimeoutError as error:
            raise deadline.passed() from error
        except ImportError as error:
            raise ServiceError(
                ErrorCode.BAD_PARAMETER,
                "found new candidate_labels, needed torch to read them, which this worker runs without: "
                "send labels that it has met before, or leave candidate_labels out",
            ) from error
        finally:
            future.cancel()

    def _find_or_make(self, labels: Sequence[str], templates: Sequence[str], watch: Watch) -> TextHead:
        name = head_file(self._folder.files, labels, templates)
        if found := self._known(name):
            return found
        watch(0)  # before the tower is loaded, which nothing can end
        self._tower = self._tower or self._load()
        made = embed(self._tower, labels, templates, watch)
        self._keep(name, made)
        return self._hold(name, made)

    def _known(self, name: str) -> TextHead | None:
        with self._lock:
            if name in self._held:
                self._held.move_to_end(name)
                return self._held[name]
        places = [self._folder.path] if name in self._folder.files else []
        places += [Path(self._cache)] if self._cache else []
        found = next(filter(None, (saved_head(place / name) for place in places)), None)
        return self._hold(name, found) if found else None

    def _hold(self, name: str, head: TextHead) -> TextHead:
        with self._lock:
            self._held[name] = head
            if len(self._held) > MEMORY_ENTRIES:
                self._held.popitem(last=False)
        return head

    def _keep(self, name: str, head: TextHead) -> None:
        """Write it to the cache, in place of the oldest there when that is full."""
        if not self._cache:
            return
        try:
            head.save(Path(self._cache) / name)
            kept = sorted((Path(self._cache) / FOLDER).glob("*.npz"), key=lambda path: path.stat().st_mtime)
            for old in kept[:-DISK_ENTRIES]:
                old.unlink(missing_ok=True)
        except OSError as error:  # it can be made again: no reason not to answer
            log.warning("cannot keep text embeddings: %s", error)


def open_texts(folder: ModelFolder, cache: str, threads: int) -> Texts | None:
    """The heads of a zero-shot model, its text tower on `threads` threads; None for any other. Raises ModelError."""
    if folder.zero_shot is None:
        return None

    def tower() -> TextTower:
        from worker.models.loaders import load_text_tower

        return load_text_tower(folder.loader, folder.weights, threads)

    return Texts(folder, folder.zero_shot, cache, tower)
