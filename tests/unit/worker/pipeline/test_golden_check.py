"""The golden images are checked again while a worker serves."""

import threading
from collections.abc import Callable

import numpy as np
import pytest

from worker.contract.errors import ErrorCode, ServiceError
from worker.contract.toml_reader import ModelError
from worker.pipeline.batcher import Batcher
from worker.pipeline.golden_check import Inconclusive, classify_in_background, watch_golden

TILE = np.full((1, 2, 2, 3), 7, np.uint8)


def decode(data: bytes, *, infer: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return infer(TILE)[0]


def test_an_image_is_classified_on_the_engine_in_the_background() -> None:
    batcher = Batcher(
        lambda images: np.array([[image.mean(), 1.0] for image in images], np.float32), {1: 1.0}, lambda _: None
    )
    assert classify_in_background(decode, batcher, lambda logits: logits * 2, 60, b"").tolist() == [14.0, 2.0]


def test_an_image_that_was_not_classified_says_nothing() -> None:
    def refuse(data: bytes, *, infer: object) -> np.ndarray:
        raise ServiceError(ErrorCode.DEADLINE, "found no memory in time")

    batcher = Batcher(lambda images: np.zeros((len(images), 2), np.float32), {1: 1.0}, lambda _: None)
    with pytest.raises(Inconclusive):
        classify_in_background(refuse, batcher, lambda logits: logits, 60, b"")


def test_a_worker_leaves_at_the_first_wrong_answer_and_not_for_one_that_was_not_given() -> None:
    left, verdicts = threading.Event(), [None, Inconclusive("busy"), OSError("gone"), None, ModelError("wrong")]
    said: list[str] = []

    def check() -> None:
        if verdict := verdicts.pop(0):
            raise verdict

    def give_up(fault: str) -> None:
        said.append(fault)
        left.set()

    watch_golden(check, 0.001, lambda: False, give_up)
    assert left.wait(60)
    assert (said, verdicts) == (["wrong"], [])


def test_a_busy_worker_is_checked_all_the_same_but_later() -> None:
    checked, asked = threading.Event(), threading.Event()

    def busy() -> bool:
        asked.set()
        return True

    watch_golden(checked.set, 0.01, busy, lambda _: None)
    assert checked.wait(60)
    assert asked.is_set()
