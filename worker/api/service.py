"""The worker as its routes see it: its settings, health and admission, and the model once it is loaded."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from worker.api.candidates import CANDIDATE_LABELS, Candidates
from worker.contract.errors import ErrorCode, ServiceError, cut, internal_error
from worker.contract.settings import Settings
from worker.models.folder import ModelFolder
from worker.pipeline.admission import Admission, Deadline
from worker.pipeline.batcher import Batcher
from worker.pipeline.classifier import Classification, Classifier
from worker.pipeline.explainer import MAX_QUEUED, Explainer
from worker.pipeline.text_embeddings import TextHeads
from worker.process.deferred import DeferredCalls
from worker.process.health import Health
from worker.process.metrics import Metrics

log = logging.getLogger(__name__)
A = TypeVar("A")
R = TypeVar("R")


@dataclass(frozen=True)
class Loaded:
    """A loaded model: its folder, the engine that runs it, and the stages that an image passes."""

    folder: ModelFolder
    engine: str
    precision: str
    choice: str  # why this engine was chosen, as a sentence
    classifier: Classifier
    batcher: Batcher
    explainer: Explainer
    texts: TextHeads | None  # None unless the model is zero-shot


class Service:
    """The state of one worker, shared by its request threads."""

    def __init__(self, settings: Settings, health: Health, admission: Admission, metrics: Metrics) -> None:
        self.settings, self.health, self.admission, self.metrics = settings, health, admission, metrics
        self.deferred = DeferredCalls()
        self.loaded: Loaded | None = None

    def alive(self) -> bool:
        """Return whether the engine thread makes progress; True before it exists."""
        batcher = self.loaded.batcher if self.loaded else None
        return batcher is None or (batcher.alive and batcher.busy_s() <= self.settings.inference_limit_s)

    def model(self, name: str | None = None, version: str | None = None) -> Loaded:
        """Return the loaded model; raise ServiceError UNKNOWN_MODEL for any other, NOT_READY if it cannot answer."""
        if name is not None and name != self.settings.model:
            raise ServiceError(
                ErrorCode.UNKNOWN_MODEL,
                f'found model "{cut(name)}", needed "{self.settings.model}", which this worker serves: '
                "send the request to the gateway",
            )
        self.health.require_answering()
        if self.loaded is None:
            raise ServiceError(
                ErrorCode.NOT_READY, "found no model loaded yet, needed one: try again after the seconds in Retry-After"
            )
        if version is not None and version != self.loaded.folder.version:
            raise ServiceError(
                ErrorCode.UNKNOWN_MODEL,
                f'found version "{cut(version)}", needed {self.loaded.folder.version}, the one served: correct it or '
                "leave it out",
            )
        return self.loaded

    def deadline(self) -> Deadline:
        """Return the deadline of a request that starts now."""
        return Deadline(self.settings.deadline_s)

    def asked(self, model: Loaded, candidates: Candidates | None, deadline: Deadline) -> Loaded:
        """Return `model` with `candidates` in place of its own classes, or `model` itself if there are none.

        Hold a place in the queue while the labels are embedded. Raise ServiceError: BAD_PARAMETER if the model is not
        zero-shot, QUEUE_FULL, DEADLINE.
        """
        if candidates is None:
            return model
        if model.texts is None:
            raise ServiceError(
                ErrorCode.BAD_PARAMETER,
                f"found {CANDIDATE_LABELS} for {self.settings.model}, which knows its own classes alone, "
                f"needed a zero-shot model: leave {CANDIDATE_LABELS} out",
            )
        with self.admission.admit(1):
            head = model.texts.head(candidates.labels, candidates.template, deadline)
        folder = replace(model.folder, output=candidates.output(model.folder.output))
        explainer = Explainer(model.batcher.submit, head, folder.output)
        return replace(model, folder=folder, classifier=model.classifier.with_head(head), explainer=explainer)

    def classify(
        self, model: Loaded, images: Sequence[bytes], deadline: Deadline | None = None
    ) -> list[Classification | ServiceError]:
        """Classify `images`; return a result or an error for each.

        Decode and queue all of them before waiting for the first, so that they form batches.
        Raise ServiceError QUEUE_FULL if there is no room for all of them.
        """
        deadline = deadline or self.deadline()
        with self.admission.admit(len(images)):
            started = [self._attempt(model.classifier.start, image) for image in images]
            return [
                waiting if isinstance(waiting, ServiceError) else self._attempt(waiting, deadline)
                for waiting in started
            ]

    def explain(
        self, model: Loaded, image: bytes, index: int | None, deadline: Deadline | None = None
    ) -> tuple[Classification, bytes]:
        """Classify `image`; return the result and a heat map of class `index`, or of the best class if None, as PNG.

        Its many inferences alternate with those of other requests: it holds as many places as it queues images at
        once. Raise ServiceError QUEUE_FULL, DEADLINE, or an error of decoding.
        """
        deadline, places = deadline or self.deadline(), min(MAX_QUEUED, self.admission.capacity)
        output = model.folder.output
        with self.admission.admit(places):
            pixels, finish = model.classifier.start_with_input(image)
            found = finish(deadline)
            chosen = output.best(output.scores(found.logits), 1)[0] if index is None else index
            return found, model.explainer.heat_map(pixels, found.logits, chosen, deadline, places)

    def _attempt(self, step: Callable[[A], R], argument: A) -> R | ServiceError:
        try:
            return step(argument)
        except ServiceError as error:
            return error
        except Exception:
            log.exception("classification failed")
            return internal_error()
