"""What the routes see of a worker: its settings, its health, its door, and the model once it is loaded."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from worker.admission import Admission, Deadline
from worker.batcher import Batcher
from worker.classifier import Classified, Classifier
from worker.errors import NotReady, ServiceError, UnknownModel
from worker.health import Health
from worker.metrics import Metrics
from worker.models.folder import ModelFolder
from worker.settings import Settings

log = logging.getLogger(__name__)
A = TypeVar("A")
R = TypeVar("R")


@dataclass(frozen=True)
class Loaded:
    """A model that answers: its folder, the engine that runs it, and the way an image takes through it."""

    folder: ModelFolder
    engine: str
    precision: str
    classifier: Classifier
    batcher: Batcher


class Service:
    """One worker's state, shared by its request threads."""

    def __init__(self, settings: Settings, health: Health, admission: Admission, metrics: Metrics) -> None:
        self.settings, self.health, self.admission, self.metrics = settings, health, admission, metrics
        self.loaded: Loaded | None = None

    def alive(self) -> bool:
        """Whether the engine thread makes progress; True while there is none yet."""
        batcher = self.loaded.batcher if self.loaded else None
        return batcher is None or (batcher.alive and batcher.busy_s() <= self.settings.inference_limit_s)

    def model(self, name: str | None = None, version: str | None = None) -> Loaded:
        """The loaded model; raises UnknownModel when another is named, NotReady when it cannot answer now."""
        if name not in (None, self.settings.model):
            raise UnknownModel(f'this worker serves "{self.settings.model}", not "{name}"; ask the gateway for it')
        self.health.require_answering()
        if self.loaded is None:
            raise NotReady("this worker has no model loaded yet; try again shortly")
        if version not in (None, self.loaded.folder.version):
            raise UnknownModel(f'version "{version}" is not served; the one served is {self.loaded.folder.version}')
        return self.loaded

    def classify(self, model: Loaded, images: Sequence[bytes]) -> list[Classified | ServiceError]:
        """Classify all `images`, each to its own result or its own error.

        All are decoded and queued before the first is waited for, so that they form batches.
        Raises QueueFull when there is no room for all of them.
        """
        deadline = Deadline(self.settings.deadline_s)
        with self.admission.admit(len(images)):
            started = [self._attempt(model.classifier.start, image) for image in images]
            return [
                waiting if isinstance(waiting, ServiceError) else self._attempt(waiting, deadline)
                for waiting in started
            ]

    def _attempt(self, step: Callable[[A], R], argument: A) -> R | ServiceError:
        try:
            return step(argument)
        except ServiceError as error:
            return error
        except Exception:
            log.exception("classification failed")
            return ServiceError("the worker failed on this image; its log has the details under the request id")
