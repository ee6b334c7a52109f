"""Jobs that embed labels: whose turn it is, which are kept without clients, and that none keeps others waiting."""

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from tests.errors import code_of, error_of
from tests.wait import until
from worker.contract.errors import ErrorCode
from worker.models.zero_shot import BATCH, Embedding, TextHead
from worker.pipeline.admission import Deadline
from worker.pipeline.embedding_jobs import KEPT_JOBS, EmbeddingJobs, Job, next_job


class Tower:
    """Embed each text as its length."""

    scale, bias = 1.0, 0.0

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([[len(text), 1.0] for text in texts], np.float32)


class Steps:
    """Steps through jobs as a worker does; note the name of each, and stop before a step while `go` is cleared."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.entered, self.go = threading.Event(), threading.Event()
        self.go.set()

    def __call__(self, job: Job) -> TextHead | None:
        self.entered.set()
        assert self.go.wait(60)
        self.names.append(job.name)
        job.embedding.step(Tower())
        return job.embedding.head(Tower()) if job.embedding.done == job.embedding.total else None


def labels(batches: int) -> Embedding:
    return Embedding([str(number) for number in range(batches * BATCH)], ["a {}"])


def job(name: str, clients: int, last_turn: int = 0) -> Job:
    found = Job(name, labels(1))
    found.clients, found.last_turn = clients, last_turn
    return found


def order(jobs: Sequence[Job], turns: int) -> str:
    found = []
    for turn in range(1, turns + 1):
        found.append(next_job(jobs))
        found[-1].last_turn = turn
    return "".join(one.name for one in found)


def test_turns_go_round_the_jobs_and_the_oldest_one_without_clients() -> None:
    assert order([job("a", 1), job("b", 2)], 5) == "ababa"
    assert order([job("k", 0), job("l", 0), job("a", 1)], 6) == "akakak"
    assert order([job("k", 0), job("l", 0)], 3) == "kkk"


def test_a_small_set_is_done_beside_a_large_one() -> None:
    steps = Steps()
    jobs = EmbeddingJobs(steps)
    steps.go.clear()
    assert code_of(jobs.head, "large", labels(50), Deadline(0.01)) is ErrorCode.DEADLINE
    small = threading.Thread(target=jobs.head, args=("small", labels(2), Deadline(60)))
    small.start()
    until("both are there", lambda: len(jobs._jobs) == 2)
    steps.go.set()
    small.join()
    assert jobs.head("large", labels(50), Deadline(60)).texts.shape == (50 * BATCH, 2)
    assert steps.names.count("large") == 50
    before = "".join(steps.names).rpartition("small")[0]  # in the order of the steps: the client may hear of it late
    assert before.count("large") <= 4


def test_the_error_of_a_deadline_says_how_far_it_is() -> None:
    steps = Steps()
    steps.go.clear()
    assert (
        f"found 0 of {2 * BATCH} texts" in error_of(EmbeddingJobs(steps).head, "x", labels(2), Deadline(0.01)).message
    )
    steps.go.set()


def test_no_more_than_the_kept_jobs_go_on_without_clients() -> None:
    steps = Steps()
    steps.go.clear()
    jobs = EmbeddingJobs(steps)
    for number in range(KEPT_JOBS + 3):
        assert code_of(jobs.head, str(number), labels(1), Deadline(0.01)) is ErrorCode.DEADLINE
        assert steps.entered.wait(60)  # the first one's turn, which lasts until all are there
    assert list(jobs._jobs) == [str(number) for number in range(KEPT_JOBS)]
    steps.go.set()
    until("they are done", lambda: not jobs._jobs)
    assert steps.names == [str(number) for number in range(KEPT_JOBS)]


def test_a_job_whose_client_has_gone_is_dropped_unless_it_was_kept() -> None:
    steps = Steps()
    steps.go.clear()
    jobs = EmbeddingJobs(steps)
    for name, kept in {"left": False, "kept": True}.items():
        if kept:
            assert code_of(jobs.head, name, labels(1), Deadline(0.01)) is ErrorCode.DEADLINE
        gone = Deadline(60, gone=lambda: True)
        assert code_of(jobs.head, name, labels(1), gone) is ErrorCode.CLIENT_GONE
        assert (name in jobs._jobs) is kept
    steps.go.set()
    until("the kept one is done", lambda: not jobs._jobs)


def test_a_failure_reaches_every_client_and_the_next_job_is_done() -> None:
    failed: list[str] = []

    def step(job: Job) -> TextHead | None:
        if job.name == "bad":
            failed.append(job.name)
            raise ArithmeticError("overflow")
        return Steps()(job)

    jobs = EmbeddingJobs(step)
    with pytest.raises(ArithmeticError, match="overflow"):
        jobs.head("bad", labels(1), Deadline(60))
    assert jobs.head("good", labels(1), Deadline(60)).texts.shape == (BATCH, 2)
    assert failed == ["bad"]
