"""One image's way through the stages, with a real batcher and real metrics."""

import threading

import numpy as np
import pytest

from worker.admission import Deadline
from worker.batcher import Batcher
from worker.classifier import Classifier
from worker.errors import DeadlinePassed, Undecodable
from worker.metrics import Metrics, create_metrics


def decode(data: bytes) -> np.ndarray:
    if data == b"bad":
        raise Undecodable("bad")
    return np.full((2, 2, 3), data[0], np.uint8)


def sums(pictures: np.ndarray) -> np.ndarray:
    return pictures.astype(np.float32).sum(axis=(1, 2))


@pytest.fixture
def metrics() -> Metrics:
    return create_metrics(lambda: 0, lambda: 1)


def count(metrics: Metrics, stage: str) -> float | None:
    return metrics.registry.get_sample_value(f"wanwu_{stage}_seconds_count")


def test_an_image_is_decoded_run_and_measured(metrics: Metrics) -> None:
    batcher = Batcher(sums, (1,), lambda size: None)
    found = Classifier(decode, batcher.submit, metrics, 1).start(b"\3")(Deadline(30))
    assert found.logits.tolist() == [12, 12, 12]
    assert min(found.queue_s, found.decode_s, found.inference_s) >= 0
    assert [count(metrics, stage) for stage in ("decode", "queue", "inference")] == [1, 1, 1]


def test_what_cannot_be_decoded_is_never_queued(metrics: Metrics) -> None:
    batcher = Batcher(sums, (1,), lambda size: None)
    with pytest.raises(Undecodable):
        Classifier(decode, batcher.submit, metrics, 1).start(b"bad")
    assert batcher.queued == 0
    assert count(metrics, "decode") == 0


def test_an_image_whose_deadline_passed_leaves_the_queue(metrics: Metrics) -> None:
    gate, entered, ran = threading.Event(), threading.Event(), list[int]()

    def held(pictures: np.ndarray) -> np.ndarray:
        entered.set()
        assert gate.wait(30)
        ran.extend(pictures[:, 0, 0, 0].tolist())
        return sums(pictures)

    classifier = Classifier(decode, Batcher(held, (1,), lambda size: None).submit, metrics, 1)
    first, late, last = (classifier.start(bytes([number])) for number in (1, 2, 3))
    assert entered.wait(30)
    with pytest.raises(DeadlinePassed, match=r"^no answer within 0\.01 seconds: "):
        late(Deadline(0.01))
    gate.set()
    assert first(Deadline(30)).logits[0] == 4
    assert last(Deadline(30)).logits[0] == 12
    assert ran == [1, 3]


def test_the_failure_of_a_run_reaches_its_image(metrics: Metrics) -> None:
    def fail(pictures: np.ndarray) -> np.ndarray:
        raise ArithmeticError("overflow")

    finish = Classifier(decode, Batcher(fail, (1,), lambda size: None).submit, metrics, 1).start(b"\3")
    with pytest.raises(ArithmeticError, match="overflow"):
        finish(Deadline(30))
