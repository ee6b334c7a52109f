"""The engine's thread: every picture gets its own answer, in batches of the sizes the engine was prepared for."""

import threading
from concurrent.futures import Future

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.batcher import Batcher, Inferred

POISON = 250


def picture(value: int) -> np.ndarray:
    return np.full((2, 2, 3), value, np.uint8)


class Engine:
    """Answers each picture with its own value, and fails on a batch that holds POISON; `gate` holds it up."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.batches: list[list[int]] = []

    def infer(self, pictures: np.ndarray) -> np.ndarray:
        self.entered.set()
        assert self.gate.wait(30)
        values = pictures[:, 0, 0, 0].tolist()
        self.batches.append(values)
        if POISON in values:
            raise ValueError("poison")
        return np.array([[value, -value] for value in values], np.float32)


def held(engine: Engine, batcher: Batcher) -> "Future[Inferred]":
    """One picture in a run that `engine.gate` holds up, so that all submitted after it wait together."""
    engine.gate.clear()
    engine.entered.clear()
    first = batcher.submit(picture(1))
    assert engine.entered.wait(30)
    return first


sizes_with_one = st.sets(st.integers(2, 9), max_size=3).map(lambda sizes: [*sizes, 1])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 249), min_size=1, max_size=40), sizes_with_one)
def test_every_picture_gets_its_own_answer_in_batches_of_the_prepared_sizes(
    values: list[int], sizes: list[int]
) -> None:
    engine, seen = Engine(), list[int]()
    batcher = Batcher(engine.infer, sizes, seen.append)
    first = held(engine, batcher)
    futures = [batcher.submit(picture(value)) for value in values]
    engine.gate.set()
    assert [future.result(30).logits.tolist() for future in [first, *futures]] == [[v, -v] for v in [1, *values]]
    assert set(seen) <= set(sizes)
    assert seen == [len(batch) for batch in engine.batches]
    assert [value for batch in engine.batches for value in batch] == [1, *values]


def test_waiting_pictures_go_in_the_largest_batches_that_fit() -> None:
    engine = Engine()
    batcher = Batcher(engine.infer, (1, 2, 4), lambda size: None)
    held(engine, batcher)
    futures = [batcher.submit(picture(value)) for value in range(7)]
    assert batcher.queued == 7
    engine.gate.set()
    futures[-1].result(30)
    assert engine.batches == [[1], [0, 1, 2, 3], [4, 5], [6]]


def test_a_lone_picture_goes_at_once_and_alone() -> None:
    engine = Engine()
    batcher = Batcher(engine.infer, (1, 4), lambda size: None)
    answer = batcher.submit(picture(9)).result(30)
    assert engine.batches == [[9]]
    assert answer.queue_s >= 0
    assert answer.inference_s >= 0
    assert batcher.queued == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([5, 6, POISON]), min_size=1, max_size=16))
def test_a_poisoned_picture_fails_alone(values: list[int]) -> None:
    engine = Engine()
    batcher = Batcher(engine.infer, (1, 4), lambda size: None)
    held(engine, batcher)
    futures = [batcher.submit(picture(value)) for value in values]
    engine.gate.set()
    for value, future in zip(values, futures, strict=True):
        if value == POISON:
            with pytest.raises(ValueError, match=r"^poison$"):
                future.result(30)
        else:
            assert future.result(30).logits.tolist() == [value, -value]
    assert batcher.alive


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(2, 200), st.booleans()), min_size=1, max_size=16))
def test_cancelled_pictures_are_never_run(values: list[tuple[int, bool]]) -> None:
    engine = Engine()
    batcher = Batcher(engine.infer, (1, 4), lambda size: None)
    first = held(engine, batcher)
    futures = [(batcher.submit(picture(value)), cancel) for value, cancel in values]
    assert all(future.cancel() for future, cancel in futures if cancel)
    engine.gate.set()
    kept = [value for value, cancel in values if not cancel]
    assert first.result(30).logits.tolist() == [1, -1]
    assert [future.result(30).logits[0] for future, cancel in futures if not cancel] == kept
    batcher.submit(picture(0)).result(30)
    assert [value for batch in engine.batches for value in batch] == [1, *kept, 0]


def test_what_runs_is_timed_and_an_idle_batcher_is_not() -> None:
    engine = Engine()
    batcher = Batcher(engine.infer, (1,), lambda size: None)
    assert batcher.busy_s() == 0
    first = held(engine, batcher)
    before = batcher.busy_s()
    assert batcher.busy_s() > before > 0
    engine.gate.set()
    first.result(30)
    assert batcher.busy_s() == 0


def test_a_failed_run_leaves_the_batcher_idle_and_alive() -> None:
    batcher = Batcher(Engine().infer, (1,), lambda size: None)
    with pytest.raises(ValueError, match="poison"):
        batcher.submit(picture(POISON)).result(30)
    assert batcher.alive
    assert batcher.busy_s() == 0
    assert batcher.submit(picture(3)).result(30).logits.tolist() == [3, -3]
