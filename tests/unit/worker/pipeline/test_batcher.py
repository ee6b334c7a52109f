"""The batcher: every input gets its own result, in batches of the sizes the engine was prepared for."""

import threading
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.pipeline.batcher import Batcher, PendingInput, plan_batches

POISON = 250


def image(value: int) -> np.ndarray:
    return np.full((2, 2, 3), value, np.uint8)


class Engine:
    """Return each input's own value, and fail on a batch that contains POISON; a cleared `gate` blocks it."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.batches: list[list[int]] = []

    def infer(self, images: Sequence[np.ndarray]) -> np.ndarray:
        self.entered.set()
        assert self.gate.wait(30)
        values = [image[0, 0, 0].item() for image in images]
        self.batches.append(values)
        if POISON in values:
            raise ValueError("poison")
        return np.array([[value, -value] for value in values], np.float32)


def linear(sizes: Iterable[int]) -> dict[int, float]:
    """Return batch durations proportional to the batch size."""
    return {size: float(size) for size in sizes}


def block(engine: Engine, batcher: Batcher) -> PendingInput:
    """Submit one input and block its run by `engine.gate`, so that all submitted after it wait together."""
    engine.gate.clear()
    engine.entered.clear()
    first = batcher.submit(image(1))
    assert engine.entered.wait(30)
    return first


sizes_with_one = st.sets(st.integers(2, 9), max_size=3).map(lambda sizes: [*sizes, 1])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 249), min_size=1, max_size=40), sizes_with_one)
def test_every_image_gets_its_own_result_in_batches_of_the_prepared_sizes(values: list[int], sizes: list[int]) -> None:
    engine, seen = Engine(), list[int]()
    batcher = Batcher(engine.infer, linear(sizes), seen.append)
    first = block(engine, batcher)
    pendings = [batcher.submit(image(value)) for value in values]
    engine.gate.set()
    assert [pending.result(30).logits.tolist() for pending in [first, *pendings]] == [[v, -v] for v in [1, *values]]
    assert set(seen) <= set(sizes)
    assert seen == [len(batch) for batch in engine.batches]
    assert [value for batch in engine.batches for value in batch] == [1, *values]


def test_waiting_images_go_in_the_largest_batches_that_fit() -> None:
    engine = Engine()
    batcher = Batcher(engine.infer, linear((1, 2, 4)), lambda size: None)
    block(engine, batcher)
    pendings = [batcher.submit(image(value)) for value in range(7)]
    assert batcher.queued == 7
    engine.gate.set()
    pendings[-1].result(30)
    assert engine.batches == [[1], [0, 1, 2, 3], [4, 5], [6]]


def test_a_single_image_runs_at_once_and_alone() -> None:
    engine = Engine()
    batcher = Batcher(engine.infer, linear((1, 4)), lambda size: None)
    answer = batcher.submit(image(9)).result(30)
    assert engine.batches == [[9]]
    assert answer.queue_s >= 0
    assert answer.inference_s >= 0
    assert batcher.queued == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([5, 6, POISON]), min_size=1, max_size=16))
def test_a_poisoned_image_fails_alone(values: list[int]) -> None:
    engine = Engine()
    batcher = Batcher(engine.infer, linear((1, 4)), lambda size: None)
    block(engine, batcher)
    pendings = [batcher.submit(image(value)) for value in values]
    engine.gate.set()
    for value, pending in zip(values, pendings, strict=True):
        if value == POISON:
            with pytest.raises(ValueError, match=r"^poison$"):
                pending.result(30)
        else:
            assert pending.result(30).logits.tolist() == [value, -value]
    assert batcher.alive


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(2, 200), st.booleans()), min_size=1, max_size=16))
def test_cancelled_images_are_never_run(values: list[tuple[int, bool]]) -> None:
    engine = Engine()
    batcher = Batcher(engine.infer, linear((1, 4)), lambda size: None)
    first = block(engine, batcher)
    pendings = [(batcher.submit(image(value)), cancel) for value, cancel in values]
    for pending, cancel in pendings:
        if cancel:
            pending.cancel()
    engine.gate.set()
    kept = [value for value, cancel in values if not cancel]
    assert first.result(30).logits.tolist() == [1, -1]
    assert [pending.result(30).logits[0] for pending, cancel in pendings if not cancel] == kept
    batcher.submit(image(0)).result(30)
    assert [value for batch in engine.batches for value in batch] == [1, *kept, 0]


def test_busy_s_times_the_running_inference_and_is_0_when_idle() -> None:
    engine = Engine()
    batcher = Batcher(engine.infer, linear((1,)), lambda size: None)
    assert batcher.busy_s() == 0
    first = block(engine, batcher)
    before = batcher.busy_s()
    assert batcher.busy_s() > before > 0
    engine.gate.set()
    first.result(30)
    assert batcher.busy_s() == 0


def test_a_failed_run_leaves_the_batcher_idle_and_alive() -> None:
    batcher = Batcher(Engine().infer, linear((1,)), lambda size: None)
    with pytest.raises(ValueError, match="poison"):
        batcher.submit(image(POISON)).result(30)
    assert batcher.alive
    assert batcher.busy_s() == 0
    assert batcher.submit(image(3)).result(30).logits.tolist() == [3, -3]


def test_a_result_can_be_read_twice_and_its_timeout_is_kept() -> None:
    engine = Engine()
    batcher = Batcher(engine.infer, linear((1,)), lambda size: None)
    first = block(engine, batcher)
    for timeout in (0.0, -1.0, 0.01):
        with pytest.raises(TimeoutError):
            first.result(timeout)
    engine.gate.set()
    assert first.result(30) is first.result(0)


def test_a_batch_runs_partly_empty_if_that_is_faster() -> None:
    engine = Engine()
    batcher = Batcher(engine.infer, {1: 1.0, 4: 1.5, 8: 2.9}, lambda size: None)
    block(engine, batcher)
    pendings = [batcher.submit(image(value)) for value in range(11)]
    engine.gate.set()
    pendings[-1].result(30)
    assert engine.batches == [[1], [0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10]]


def test_an_image_that_arrives_during_a_batch_joins_those_left_over() -> None:
    engine, late = Engine(), list[PendingInput]()

    def infer(images: Sequence[np.ndarray]) -> np.ndarray:
        if len(images) == 2 and not late:
            late.append(batcher.submit(image(8)))
        return engine.infer(images)

    batcher = Batcher(infer, linear((1, 2)), lambda size: None)
    block(engine, batcher)
    pendings = [batcher.submit(image(value)) for value in (5, 6, 7)]
    engine.gate.set()
    pendings[-1].result(30)
    assert engine.batches == [[1], [5, 6], [7, 8]]


def test_an_image_waits_for_others_only_with_wait_s_and_no_longer() -> None:
    engine = Engine()
    batcher = Batcher(engine.infer, linear((1, 4)), lambda size: None, wait_s=60)
    together = [batcher.submit(image(value)) for value in range(4)]
    together[-1].result(30)
    assert engine.batches == [[0, 1, 2, 3]]
    batcher = Batcher(engine.infer, linear((1, 4)), lambda size: None, wait_s=0.05)
    assert batcher.submit(image(9)).result(30).queue_s >= 0.05


def partitions(waiting: int, seconds: dict[int, float]) -> float:
    """Return the least duration of `waiting` images over all splits into batches, by brute force."""
    if waiting <= 0:
        return 0.0
    return min(spent + partitions(waiting - size, seconds) for size, spent in seconds.items())


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.integers(2, 7), st.integers(1, 20), max_size=2), st.integers(1, 20))
def test_the_planned_batches_are_the_fastest_of_all_splits(more: dict[int, int], alone: int) -> None:
    seconds = {1: float(alone)} | {size: float(spent) for size, spent in more.items()}
    take = plan_batches(seconds)
    assert take[0] == 0
    for waiting in range(1, max(seconds) + 1):
        size = min((size for size in seconds if size >= take[waiting]), key=lambda size: seconds[size])
        assert seconds[size] + partitions(waiting - take[waiting], seconds) == partitions(waiting, seconds)


@pytest.mark.parametrize(
    ("seconds", "take"),
    [
        ({1: 1.0}, [0, 1]),
        ({1: 1.0, 4: 4.0}, [0, 1, 1, 1, 4]),  # a CPU: no batch runs partly empty
        ({1: 1.0, 4: 4.4}, [0, 1, 1, 1, 1]),  # a batch slower than its images one by one is never run
        ({1: 1.0, 4: 1.1}, [0, 1, 2, 3, 4]),  # a GPU that is not full
        ({1: 1.0, 2: 1.9, 4: 2.2}, [0, 1, 2, 3, 4]),
        ({1: 1.0, 2: 1.2, 4: 4.0}, [0, 1, 2, 2, 2]),
    ],
)
def test_the_batch_sizes_follow_from_the_durations(seconds: dict[int, float], take: list[int]) -> None:
    assert plan_batches(seconds) == take


def test_inputs_in_the_background_let_the_others_pass_and_have_every_fifth_turn() -> None:
    engine = Engine()
    batcher = Batcher(engine.infer, linear((1,)), lambda size: None)
    block(engine, batcher)
    pendings = [batcher.submit(image(value), background=True) for value in (201, 202)]
    pendings += [batcher.submit(image(value)) for value in range(2, 8)]
    engine.gate.set()
    for pending in pendings:
        pending.result(30)
    assert [value for (value,) in engine.batches] == [1, 2, 3, 4, 5, 201, 6, 7, 202]


def test_an_image_that_arrives_late_goes_alone_before_the_background_inputs_left_over() -> None:
    engine, late = Engine(), list[PendingInput]()

    def infer(images: Sequence[np.ndarray]) -> np.ndarray:
        if images[0][0, 0, 0] == 5 and not late:
            late.append(batcher.submit(image(8)))
        return engine.infer(images)

    batcher = Batcher(infer, linear((1, 2)), lambda size: None)
    block(engine, batcher)
    pendings = [batcher.submit(image(value), background=True) for value in (5, 6, 7, 9)]
    engine.gate.set()
    pendings[-1].result(30)
    assert engine.batches == [[1], [5], [8], [6], [7], [9]]


def test_in_the_background_alone_and_where_large_batches_are_fast_they_are_large() -> None:
    engine = Engine()
    batcher = Batcher(engine.infer, {1: 1.0, 4: 1.1}, lambda size: None)
    block(engine, batcher)
    pendings = [batcher.submit(image(value), background=True) for value in range(2, 10)]
    engine.gate.set()
    for pending in pendings:
        pending.result(30)
    assert engine.batches == [[1], [2, 3, 4, 5], [6, 7, 8, 9]]
