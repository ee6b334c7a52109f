"""The batcher: every input gets its own result, in batches of the sizes the engine was prepared for."""

import re
import threading
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.contract.errors import ErrorCode, ServiceError
from worker.pipeline.batcher import Batcher
from worker.pipeline.engine_guard import FAILURES_TO_CHECK, EngineGuard, OutputError
from worker.pipeline.pending_input import PendingInput

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
    assert batcher.find_fault() is None


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


def test_a_failed_run_leaves_the_batcher_idle_and_alive() -> None:
    batcher = Batcher(Engine().infer, linear((1,)), lambda size: None)
    with pytest.raises(ValueError, match="poison"):
        batcher.submit(image(POISON)).result(30)
    assert batcher.find_fault() is None
    assert batcher.submit(image(3)).result(30).logits.tolist() == [3, -3]


def broken_batcher(fault: type[BaseException] = RuntimeError) -> tuple[Batcher, Engine, list[PendingInput]]:
    """Return a batcher whose engine, busy with one input, fails on it and on each after it; eight wait for it."""
    engine = Engine()

    def infer(images: Sequence[np.ndarray]) -> np.ndarray:
        engine.infer(images)
        raise fault("CUDA error")

    def check() -> None:
        raise ValueError("golden.png: failed, too")

    batcher = Batcher(infer, linear((1, 2)), lambda size: None, guard=EngineGuard(check))
    first = block(engine, batcher)
    waiting = [batcher.submit(image(value)) for value in range(8)]
    engine.gate.set()
    return batcher, engine, [first, *waiting]


def code(pending: PendingInput) -> str:
    with pytest.raises((ServiceError, RuntimeError)) as caught:
        pending.result(30)
    return caught.value.code if isinstance(caught.value, ServiceError) else str(caught.value)


def test_a_broken_engine_ends_the_batcher_and_what_waits_fails_at_once() -> None:
    batcher, engine, pendings = broken_batcher()
    assert [code(pending) for pending in pendings] == ["CUDA error"] * 5 + [ErrorCode.NOT_READY] * 4
    assert batcher.fault == batcher.find_fault()
    assert batcher.fault == (
        "3 batches in a row failed (RuntimeError: CUDA error), and then the golden images: "
        "ValueError: golden.png: failed, too"
    )
    assert code(batcher.submit(image(3))) == ErrorCode.NOT_READY
    assert engine.batches == [[1], [0, 1], [0], [1], [2, 3], [2], [3]]
    assert batcher.queued == 0


@pytest.mark.parametrize("fault", [SystemExit, KeyboardInterrupt])
def test_whatever_ends_the_thread_is_noticed_and_nothing_waits_for_ever(fault: type[BaseException]) -> None:
    batcher, _, pendings = broken_batcher(fault)
    assert [code(pending) for pending in pendings] == [ErrorCode.INTERNAL] + [ErrorCode.NOT_READY] * 8
    assert batcher.find_fault() == f"the engine's thread failed: {fault.__name__}: CUDA error"
    assert code(batcher.submit(image(3))) == ErrorCode.NOT_READY


@pytest.mark.parametrize(
    ("outputs", "found"),
    [
        (np.zeros((2, 2), np.float32), "outputs of shape [2, 2], needed [1, 2]"),
        (np.zeros((0, 2), np.float32), "outputs of shape [0, 2], needed [1, 2]"),
        (np.zeros((1, 3), np.float32), "outputs of shape [1, 3], needed [1, 2]"),
        (np.zeros(2, np.float32), "outputs of shape [2], needed [1, 2]"),
        (np.full((1, 2), np.nan, np.float32), "NaN in the outputs for 1 inputs, needed numbers"),
    ],
)
def test_outputs_that_are_no_result_fail_like_an_engine_that_raises(outputs: np.ndarray, found: str) -> None:
    checks = list[int]()
    batcher = Batcher(
        lambda images: outputs, {1: 1.0}, lambda size: None, guard=EngineGuard(lambda: checks.append(1)), outputs=2
    )
    for _ in range(FAILURES_TO_CHECK):
        with pytest.raises(OutputError, match=re.escape(f"found {found}: see the engine's log")):
            batcher.submit(image(1)).result(30)
    batcher.submit(image(1))
    wait_for_the_next(batcher)
    assert (checks, batcher.fault) == ([1], None)


def wait_for_the_next(batcher: Batcher) -> None:
    """Return once the batcher has run all inputs submitted so far."""
    with pytest.raises(OutputError):
        batcher.submit(image(1)).result(30)


def test_an_image_with_nan_fails_alone() -> None:
    engine = Engine()

    def infer(images: Sequence[np.ndarray]) -> np.ndarray:
        logits = engine.infer(images)
        logits[logits[:, 0] == 7] = np.nan
        return logits

    batcher = Batcher(infer, linear((1, 4)), lambda size: None)
    block(engine, batcher)
    pendings = [batcher.submit(image(value)) for value in (5, 7, 6)]
    engine.gate.set()
    assert [pendings[at].result(30).logits.tolist() for at in (0, 2)] == [[5, -5], [6, -6]]
    with pytest.raises(OutputError):
        pendings[1].result(30)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([5, POISON]), min_size=1, max_size=60))
def test_bad_images_alone_never_break_the_engine(values: list[int]) -> None:
    engine = Engine()
    batcher = Batcher(engine.infer, linear((1, 4)), lambda size: None, guard=EngineGuard(lambda: None))
    block(engine, batcher)
    pendings = [batcher.submit(image(value)) for value in values]
    engine.gate.set()
    for value, pending in zip(values, pendings, strict=True):
        if value == POISON:
            with pytest.raises(ValueError, match=r"^poison$"):
                pending.result(30)
        else:
            assert pending.result(30).logits.tolist() == [value, -value]
    assert batcher.submit(image(3)).result(30).logits.tolist() == [3, -3]
    assert batcher.find_fault() is None


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
