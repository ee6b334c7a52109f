"""The worker as its routes see it: its settings, health and admission, and the model once it is loaded."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from worker.api.body import Body
from worker.api.candidates import CANDIDATE_LABELS, Candidates
from worker.contract.errors import ErrorCode, ServiceError, cut, forget_frames
from worker.contract.limits import MEBIBYTE, Share, bodies_bytes
from worker.contract.settings import Settings
from worker.decode import Budget
from worker.models.folder import ModelFolder
from worker.pipeline.admission import Admission, Deadline
from worker.pipeline.batcher import Batcher
from worker.pipeline.classifier import Classification, Classifier, Started
from worker.pipeline.explainer import MAX_QUEUED, Explainer
from worker.pipeline.heat_map import HeatMap
from worker.pipeline.text_embeddings import TextHeads
from worker.process.deferred import DeferredCalls
from worker.process.health import Health
from worker.process.metrics import Metrics
from worker.process.statistics import Statistics

IMAGES_AT_ONCE = 8  # of one request in the queue: enough to fill the engine's batches, and the others wait undecoded
# Errors of the whole request, not of the one image that met it first; so are those after which Nginx tries another
# worker.
ENDS_REQUEST = (ErrorCode.DEADLINE, ErrorCode.CLIENT_GONE)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


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
        self.statistics = Statistics()
        self.max_body = settings.max_body_mb * MEBIBYTE  # bytes
        self.bodies = Budget(bodies_bytes(settings.max_body_mb))
        self.loaded: Loaded | None = None

    def fault(self) -> str | None:
        """Return why the loaded model cannot answer; None if it can, and before it is loaded."""
        return self.loaded.batcher.find_fault() if self.loaded else None

    @property
    def ready(self) -> bool:
        """Whether the worker is in the state ready and its model can answer."""
        return self.health.ready and self.fault() is None

    @property
    def queued(self) -> int:
        """The images that wait for the engine."""
        return self.loaded.batcher.queued if self.loaded else 0

    def model(self, name: str | None = None, version: str | None = None) -> Loaded:
        """Return the loaded model; raise ServiceError UNKNOWN_MODEL for any other, NOT_READY if it cannot answer."""
        if name is not None and name != self.settings.model:
            raise self.unknown_model(name)
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

    def unknown_model(self, name: str, headers: Mapping[str, str] | None = None) -> ServiceError:
        """Return the error for a request to another model than this worker's."""
        return ServiceError(
            ErrorCode.UNKNOWN_MODEL,
            f'found model "{cut(name)}", needed "{self.settings.model}", which this worker serves: '
            "correct the name, or ask GET /models for all",
            headers,
        )

    def deadline(self, gone: Callable[[], bool]) -> Deadline:
        """Return the deadline of a request that starts now; `gone` returns whether its client has left."""
        return Deadline(self.settings.deadline_s, gone)

    def body(self, environ: "WSGIEnvironment", deadline: Deadline) -> Body:
        """Return the body of the request in `environ`, bounded; whoever calls this closes it."""
        return Body(environ, self.max_body, self.bodies, deadline.left)

    def with_candidates(self, model: Loaded, candidates: Candidates | None, deadline: Deadline) -> Loaded:
        """Return `model` with `candidates` in place of its own classes, or `model` itself if there are none.

        Hold a place in the queue while new labels are embedded. Raise ServiceError: BAD_PARAMETER if the model is not
        zero-shot, QUEUE_FULL, DEADLINE, CLIENT_GONE.
        """
        if candidates is None:
            return model
        if model.texts is None:
            raise ServiceError(
                ErrorCode.BAD_PARAMETER,
                f"found {CANDIDATE_LABELS} for {self.settings.model}, which knows its own classes alone, "
                f"needed a zero-shot model: leave {CANDIDATE_LABELS} out",
            )
        head = model.texts.known(candidates.labels, candidates.template)
        if head is None:
            with self.admission.admit(1, Share.LABELS):
                head = model.texts.head(candidates.labels, candidates.template, deadline)
        folder = replace(model.folder, output=candidates.output(model.folder.output))
        explainer = model.explainer.with_head(head, folder.output)
        return replace(model, folder=folder, classifier=model.classifier.with_head(head), explainer=explainer)

    def classify(self, model: Loaded, images: Sequence[bytes], deadline: Deadline) -> list[Classification | Exception]:
        """Classify `images`; return a result or an error for each.

        Of several images, decode and queue some before waiting for the first, so that they form batches.
        Raise ServiceError QUEUE_FULL, DEADLINE or CLIENT_GONE after removing all images from the queue, and NOT_READY
        if the engine is broken, so that another worker classifies them all.
        """
        several = len(images) > 1
        waiting: deque[Started | Exception] = deque()
        results: list[Classification | Exception] = []
        share = Share.MANY_IMAGES if several else Share.ORDINARY
        with self.admission.admit(min(len(images), IMAGES_AT_ONCE), share) as places:
            try:
                for image in images:
                    if len(waiting) == places:
                        results.append(self._result(waiting.popleft(), deadline))
                    waiting.append(self._start(model, image, deadline, several))
                while waiting:
                    results.append(self._result(waiting.popleft(), deadline))
            finally:
                for started in waiting:
                    if isinstance(started, Started):
                        started.cancel()
        return results

    def explain(
        self, model: Loaded, image: bytes, index: int | None, deadline: Deadline
    ) -> tuple[Classification, HeatMap]:
        """Classify `image`; return the result and a heat map of class `index`, or of the best class if None.

        Its many inferences run in the background of other requests: it holds as many places as it queues images at
        once. Raise ServiceError QUEUE_FULL, DEADLINE, CLIENT_GONE, or an error of decoding.
        """
        output = model.folder.output
        with self.admission.admit(MAX_QUEUED, Share.HEAT_MAPS) as places:
            pixels, started = model.classifier.start_with_input(image, deadline)
            found = started.result(deadline)
            chosen = output.best(output.scores(found.logits), 1)[0] if index is None else index
            return found, model.explainer.heat_map(pixels, found.logits, chosen, deadline, places)

    def _start(self, model: Loaded, image: bytes, deadline: Deadline, background: bool) -> Started | Exception:
        try:
            return model.classifier.start(image, deadline, background)
        except Exception as error:
            return _of_one_image(error)

    def _result(self, started: Started | Exception, deadline: Deadline) -> Classification | Exception:
        if isinstance(started, Exception):
            return started
        try:
            return started.result(deadline)
        except Exception as error:
            return _of_one_image(error)


def _of_one_image(error: Exception) -> Exception:
    """Return `error`, the result of one image; raise it instead if it ends the whole request."""
    if isinstance(error, ServiceError):
        if error.code in ENDS_REQUEST or error.code.retried:
            raise error
        forget_frames(error)
    return error
