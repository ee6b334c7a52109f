"""The path of one image through the stages, with a real batcher and real metrics."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from tests.errors import code_of
from tests.wait import until
from worker.contract.errors import ErrorCode, ServiceError
from worker.pipeline.admission import Deadline
from worker.pipeline.batcher import Batcher
from worker.pipeline.classifier import Classifier, Open, OpenImage
from worker.pipeline.running import Running
from worker.process.metrics import Metrics, create_metrics


def decode(data: bytes, deadline: Deadline) -> list[np.ndarray]:
    """Return a tile for every byte, filled with its value."""
    if data == b"bad":
        raise ServiceError(ErrorCode.UNDECODABLE, "bad")
    return [np.full((2, 2, 3), value, np.uint8) for value in data]


def opening(decode: Callable[[bytes, Deadline], Sequence[np.ndarray]]) -> Open:
    """Return a function that opens an image and decodes it by `decode`."""
    return lambda data, deadline: OpenImage(False, partial(decode, data, deadline))


def sums(images: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack(images).astype(np.float32).sum(axis=(1, 2))


@pytest.fixture
def metrics() -> Metrics:
    return create_metrics(lambda: 0, lambda: 1)


def count(metrics: Metrics, stage: str) -> float | None:
    return metrics.registry.get_sample_value(f"wanwu_{stage}_seconds_count")


def test_an_image_is_decoded_run_and_measured(metrics: Metrics) -> None:
    batcher = Batcher(sums, {1: 1.0}, lambda size: None)
    classifier = Classifier(opening(decode), batcher.submit, metrics.observe_stages, 1)
    found = classifier.start(b"\3", Deadline(30)).result(Deadline(30))
    assert found.logits.tolist() == [12, 12, 12]
    assert min(found.queue_s, found.decode_s, found.inference_s) >= 0
    assert [count(metrics, stage) for stage in ("decode", "queue", "inference")] == [1, 1, 1]


@pytest.mark.parametrize("kind", ["large", "isolated"])
def test_an_ordinary_image_does_not_wait_for_others(metrics: Metrics, kind: str) -> None:
    finish, batcher = threading.Event(), Batcher(sums, {1: 1.0}, lambda size: None)

    def slow(data: bytes, deadline: Deadline) -> list[np.ndarray]:
        if data == b"\7":
            finish.wait()
        return decode(data, deadline)

    def opened(data: bytes, deadline: Deadline) -> OpenImage:
        apart = kind if data == b"\7" else ""
        return OpenImage(apart == "large", partial(slow, data, deadline), apart == "isolated")

    classifier = Classifier(opened, batcher.submit, metrics.observe_stages, 1)
    with ThreadPoolExecutor(3) as pool:
        slow_ones = [pool.submit(classifier.start, b"\7", Deadline(30)) for _ in range(3)]
        assert classifier.start(b"\3", Deadline(30)).result(Deadline(30)).logits.tolist() == [12, 12, 12]
        assert not any(future.done() for future in slow_ones)
        finish.set()
        assert [future.result().result(Deadline(30)).logits[0] for future in slow_ones] == [28, 28, 28]


def test_an_undecodable_image_is_never_queued(metrics: Metrics) -> None:
    batcher = Batcher(sums, {1: 1.0}, lambda size: None)
    classifier = Classifier(opening(decode), batcher.submit, metrics.observe_stages, 1)
    assert code_of(classifier.start, b"bad", Deadline(30)) is ErrorCode.UNDECODABLE
    assert batcher.queued == 0
    assert count(metrics, "decode") == 0


def test_an_image_whose_deadline_passed_leaves_the_queue(metrics: Metrics) -> None:
    gate, entered, ran = threading.Event(), threading.Event(), list[int]()

    def blocked(images: Sequence[np.ndarray]) -> np.ndarray:
        entered.set()
        assert gate.wait(30)
        ran.extend(image[0, 0, 0].item() for image in images)
        return sums(images)

    classifier = Classifier(
        opening(decode), Batcher(blocked, {1: 1.0}, lambda size: None).submit, metrics.observe_stages, 1
    )
    first, late, last = (classifier.start(bytes([number]), Deadline(30)) for number in (1, 2, 3))
    assert entered.wait(30)
    assert code_of(late.result, Deadline(0.01)) is ErrorCode.DEADLINE
    gate.set()
    assert first.result(Deadline(30)).logits[0] == 4
    assert last.result(Deadline(30)).logits[0] == 12
    assert ran == [1, 3]


def test_the_failure_of_a_run_reaches_its_image(metrics: Metrics) -> None:
    def fail(images: Sequence[np.ndarray]) -> np.ndarray:
        raise ArithmeticError("overflow")

    batcher = Batcher(fail, {1: 1.0}, lambda size: None)
    started = Classifier(opening(decode), batcher.submit, metrics.observe_stages, 1).start(b"\3", Deadline(30))
    with pytest.raises(ArithmeticError, match="overflow"):
        started.result(Deadline(30))


def largest(logits: Sequence[np.ndarray]) -> np.ndarray:
    return np.max(logits, axis=0)


def test_all_tiles_are_queued_together_and_their_logits_merged(metrics: Metrics) -> None:
    gate, entered, sizes = threading.Event(), threading.Event(), list[int]()

    def blocked(images: Sequence[np.ndarray]) -> np.ndarray:
        entered.set()
        assert gate.wait(30)
        return sums(images)

    batcher = Batcher(blocked, {1: 1.0, 4: 4.0}, sizes.append)
    classifier = Classifier(opening(decode), batcher.submit, metrics.observe_stages, 1, lambda row: row * 10, largest)
    started = classifier.start(b"\1\7\2\3\4", Deadline(30))
    assert entered.wait(30)
    gate.set()
    found = started.result(Deadline(30))
    assert found.logits.tolist() == [280, 280, 280]
    assert (sorted(sizes), sum(sizes)) == ([1, 4], 5)
    assert min(found.queue_s, found.decode_s, found.inference_s) >= 0
    assert [count(metrics, stage) for stage in ("decode", "queue", "inference")] == [1, 1, 1]


def test_when_the_deadline_passes_no_tile_stays_in_the_queue(metrics: Metrics) -> None:
    gate, entered, ran = threading.Event(), threading.Event(), list[int]()

    def blocked(images: Sequence[np.ndarray]) -> np.ndarray:
        entered.set()
        assert gate.wait(30)
        ran.extend(image[0, 0, 0].item() for image in images)
        return sums(images)

    batcher = Batcher(blocked, {1: 1.0}, lambda size: None)
    classifier = Classifier(opening(decode), batcher.submit, metrics.observe_stages, 1, merge=largest)
    running = classifier.start(b"\4", Deadline(30))
    assert entered.wait(30)
    late = classifier.start(b"\1\2\3", Deadline(30))
    last = classifier.start(b"\5", Deadline(30))
    assert code_of(late.result, Deadline(0.01)) is ErrorCode.DEADLINE
    gate.set()
    assert running.result(Deadline(30)).logits[0] == 16
    assert last.result(Deadline(30)).logits[0] == 20
    assert ran == [4, 5]


def test_only_an_image_of_one_tile_has_a_heat_map(metrics: Metrics) -> None:
    classifier = Classifier(
        opening(decode), Batcher(sums, {1: 1.0}, lambda size: None).submit, metrics.observe_stages, 1
    )
    assert classifier.start_with_input(b"\1", Deadline(30))[0].shape == (2, 2, 3)
    assert code_of(classifier.start_with_input, b"\1\2", Deadline(30)) is ErrorCode.BAD_PARAMETER


def test_waiting_for_a_decoder_ends_at_the_deadline_and_nothing_is_decoded(metrics: Metrics) -> None:
    gate, entered, decoded = threading.Event(), threading.Event(), list[bytes]()

    def slow(data: bytes, deadline: Deadline) -> list[np.ndarray]:
        entered.set()
        assert gate.wait(30)
        decoded.append(data)
        return decode(data, deadline)

    classifier = Classifier(
        opening(slow), Batcher(sums, {1: 1.0}, lambda size: None).submit, metrics.observe_stages, decoders=1
    )
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(classifier.start, b"\1", Deadline(30))
        assert entered.wait(30)
        assert code_of(classifier.start, b"\2", Deadline(0.01)) is ErrorCode.DEADLINE
        gate.set()
        assert first.result().result(Deadline(30)).logits[0] == 4
    assert decoded == [b"\1"]


@pytest.mark.parametrize("stage", ["header", "pixels"])
def test_decoding_is_silent_until_it_looks_at_its_deadline_or_ends(metrics: Metrics, stage: str) -> None:
    gate, entered = threading.Event(), threading.Event()

    def hang(data: bytes, deadline: Deadline) -> list[np.ndarray]:
        entered.set()
        assert gate.wait(30)
        return decode(data, deadline)

    def hang_at_header(data: bytes, deadline: Deadline) -> OpenImage:
        hang(data, deadline)
        return opening(decode)(data, deadline)

    batcher = Batcher(sums, {1: 1.0}, lambda size: None)
    open_image = hang_at_header if stage == "header" else opening(hang)
    decodings, deadline = Running(), Deadline(30)
    classifier = Classifier(open_image, batcher.submit, metrics.observe_stages, decoders=1, decodings=decodings)

    def silence() -> float:
        return decodings.longest_silence(lambda: 1.0)

    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(classifier.start, b"\1", deadline)
        assert entered.wait(30)
        assert [silence() for _ in range(3)] == [0, 1, 2]
        deadline.left()
        assert [silence() for _ in range(3)] == [0, 1, 2]
        gate.set()
        assert started.result().result(Deadline(30)).logits[0] == 4
    assert silence() == 0


def test_an_image_decoded_too_late_is_not_queued(metrics: Metrics) -> None:
    def slow(data: bytes, deadline: Deadline) -> list[np.ndarray]:
        until("the deadline has passed", deadline.over)
        return decode(data, deadline)

    batcher = Batcher(sums, {1: 1.0}, lambda size: None)
    classifier = Classifier(opening(slow), batcher.submit, metrics.observe_stages, decoders=1)
    assert code_of(classifier.start, b"\1", Deadline(0.05)) is ErrorCode.DEADLINE
    assert batcher.queued == 0


def test_an_image_whose_client_has_gone_leaves_the_queue(metrics: Metrics) -> None:
    gate, gone = threading.Event(), threading.Event()

    def blocked(images: Sequence[np.ndarray]) -> np.ndarray:
        assert gate.wait(30)
        return sums(images)

    batcher = Batcher(blocked, {1: 1.0}, lambda size: None)
    classifier = Classifier(opening(decode), batcher.submit, metrics.observe_stages, 1)
    classifier.start(b"\1", Deadline(30))
    left = classifier.start(b"\2", Deadline(30))
    gone.set()
    assert code_of(left.result, Deadline(30, gone.is_set)) is ErrorCode.CLIENT_GONE
    assert [tile.cancelled for tile in left.tiles] == [True]
    gate.set()


def test_the_tiles_of_one_image_let_single_images_pass(metrics: Metrics) -> None:
    batcher = Batcher(sums, {1: 1.0}, lambda size: None)
    classifier = Classifier(opening(decode), batcher.submit, metrics.observe_stages, 1, merge=largest)
    assert [tile.background for tile in classifier.start(b"\1", Deadline(30)).tiles] == [False]
    assert [tile.background for tile in classifier.start(b"\1\2", Deadline(30)).tiles] == [True, True]
    assert [tile.background for tile in classifier.start(b"\1", Deadline(30), True).tiles] == [True]
