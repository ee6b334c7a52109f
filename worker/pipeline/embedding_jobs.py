"""Embedding jobs: sets of labels that are embedded in turn, a few texts of each, and go on after their deadline.

The clients of a job wait for it together. A job that all clients had to leave at their deadlines is kept: it goes on,
one such job at a time, so that the next request with the same labels finds it further, or done.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection
from itertools import count

from worker.contract.errors import ErrorCode, ServiceError
from worker.models.zero_shot import Embedding, TextHead
from worker.pipeline.admission import Deadline

KEPT_JOBS = 4  # jobs without clients; the job that lost its clients last is dropped beyond that

log = logging.getLogger(__name__)


class Job:
    """One set of labels that is being embedded, and how many clients wait for it."""

    def __init__(self, name: str, embedding: Embedding) -> None:
        self.name, self.embedding = name, embedding
        self.clients = 0
        self.kept = False  # whether it goes on without clients
        self.last_turn = 0
        self.done = threading.Event()
        self.result: TextHead | Exception | None = None


Step = Callable[[Job], TextHead | None]  # embed a few texts of the job; return its head once that is known


def next_job(jobs: Collection[Job]) -> Job:
    """Return the job of `jobs`, oldest first, whose turn it is: the one whose last turn is longest ago.

    Of the jobs without clients only the oldest has turns, so that they are done one after the other.
    """
    waited_for = [job for job in jobs if job.clients]
    kept = [job for job in jobs if not job.clients][:1]
    return min(waited_for + kept, key=lambda job: job.last_turn)


class EmbeddingJobs:
    """The jobs that are not done, and the thread that calls `step` on them in turn."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._jobs: dict[str, Job] = {}  # by name, oldest first
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def head(self, name: str, embedding: Embedding, deadline: Deadline) -> TextHead:
        """Return the head of `embedding` once its job is done; join the job if there is one of that name.

        Raise what the job raised, CLIENT_GONE, or DEADLINE with the progress so far; after DEADLINE the job is kept.
        """
        job = self._join(name, embedding)
        try:
            deadline.wait(job.done.wait)
        except ServiceError as error:
            if error.code is not ErrorCode.DEADLINE:
                raise
            job.kept = True
            raise _later(job.embedding, deadline) from error
        finally:
            self._leave(job)
        if isinstance(job.result, TextHead):
            return job.result
        raise job.result or RuntimeError("done without a result")

    def _join(self, name: str, embedding: Embedding) -> Job:
        with self._changed:
            job = self._jobs.setdefault(name, Job(name, embedding))
            job.clients += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="texts", daemon=True)
                self._thread.start()
            self._changed.notify()
            return job

    def _leave(self, job: Job) -> None:
        with self._changed:
            job.clients -= 1
            without_clients = sum(not other.clients for other in self._jobs.values())
            if not (job.clients or (job.kept and without_clients <= KEPT_JOBS)):
                self._drop(job)

    def _drop(self, job: Job) -> None:
        if self._jobs.get(job.name) is job:
            del self._jobs[job.name]

    def _run(self) -> None:
        for turn in count(1):
            with self._changed:
                while not self._jobs:
                    self._changed.wait()
                job = next_job(self._jobs.values())
                job.last_turn = turn
            started = time.monotonic()
            self._work(job)
            with self._changed:
                if not any(other.clients for other in self._jobs.values()):
                    # What nobody waits for leaves half of the processor's time to the requests of others.
                    self._changed.wait(time.monotonic() - started)

    def _work(self, job: Job) -> None:
        try:
            job.result = self._step(job)
        except Exception as error:
            job.result = error
            if not job.clients:
                log.exception("cannot embed candidate labels that were kept")
        if job.result is not None:
            with self._changed:
                self._drop(job)
            job.done.set()


def _later(embedding: Embedding, deadline: Deadline) -> ServiceError:
    return ServiceError(
        ErrorCode.DEADLINE,
        f"found {embedding.done} of {embedding.total} texts of candidate_labels read after {deadline.seconds:g} "
        "seconds, needed all: send the same labels again, for reading them goes on meanwhile",
    )
