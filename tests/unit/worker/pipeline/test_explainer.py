"""Heat maps by way of a real batcher: which inputs are run, how many are queued, and what a deadline leaves."""

import io
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import folders
from tests.errors import code_of
from worker.contract.errors import ErrorCode
from worker.engines import load_engine
from worker.models.folder import read_folder
from worker.models.labels import Labels
from worker.models.scores import Group, Output
from worker.pipeline.admission import Deadline
from worker.pipeline.batcher import Batcher, Infer
from worker.pipeline.classifier import Head, identity
from worker.pipeline.explainer import MAX_QUEUED, Explainer
from worker.pipeline.heat_map import GRID, INFERENCES, draw, evidence, heat, occlusions

LABELS = Labels({"en": ("red", "green", "blue")})
OUTPUT = Output("softmax", LABELS)
IMAGE = np.random.default_rng(1).integers(0, 255, (24, 16, 3)).astype(np.uint8)


def colours(images: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean red, green and blue of each image as its logits."""
    return np.stack(images).astype(np.float32).mean(axis=(1, 2))


LOGITS = colours([IMAGE])[0]


def explainer(infer: Infer = colours, output: Output = OUTPUT, head: Head = identity) -> tuple[Explainer, Batcher]:
    batcher = Batcher(infer, {1: 1.0, 4: 4.0}, lambda size: None)
    return Explainer(batcher.submit, head, output), batcher


def expected(logits_of: Infer, index: int, output: Output = OUTPUT) -> bytes:
    """Return the same heat map, computed step by step."""
    rivals = output.rivals(index)
    known, *covered = (evidence(logits_of([one])[0], index, rivals) for one in (IMAGE, *occlusions(IMAGE)))
    return draw(IMAGE, heat(known - np.array(covered)))


@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_heat_map_is_that_of_the_requested_class(index: int) -> None:
    found = explainer()[0].heat_map(IMAGE, LOGITS, index, Deadline(30), MAX_QUEUED).png()
    assert found == expected(colours, index)
    assert Image.open(io.BytesIO(found)).size == (16, 24)


def test_the_rivals_of_a_class_in_a_group_are_its_group_alone() -> None:
    grouped = Output("softmax", LABELS, groups=(Group("warmth", (0, 2), "softmax"),))
    found = explainer(output=grouped)[0].heat_map(IMAGE, LOGITS, 0, Deadline(30), MAX_QUEUED).png()
    assert found == expected(colours, 0, grouped) != expected(colours, 0)


def test_the_models_head_is_applied() -> None:
    def head(outputs: np.ndarray) -> np.ndarray:
        return -outputs[..., ::-1]

    found = explainer(head=head)[0].heat_map(IMAGE, head(LOGITS), 0, Deadline(30), MAX_QUEUED).png()
    assert found == expected(lambda images: head(colours(images)), 0)


KINDS: dict[str, Callable[[Path], Path]] = {
    "convolutions, torch": folders.pt2_folder,
    "vision transformer, torch": folders.transformers_folder,
    "convolutions, OpenVINO": lambda path: folders.openvino_folder(path, network=folders.small_network()),
}
CELL = folders.SIZE // GRID


@pytest.mark.parametrize("kind", KINDS)
def test_the_hottest_point_of_every_kind_of_network_is_the_only_one_there_is_to_see(tmp_path: Path, kind: str) -> None:
    """Their weights are random, but whatever they say of `folders.spot` they can have from its spot alone."""
    folder = read_folder(KINDS[kind](tmp_path / "model"))
    engine = load_engine(folder, "auto", threads=1)
    infer: Infer = lambda images: engine.infer(np.stack(images))  # noqa: E731
    drawing, _ = explainer(infer, folder.output)
    plain = folder.output.scores(infer([np.full((folders.SIZE, folders.SIZE, 3), 128, np.uint8)]))[0]
    for row, column in ((2 * CELL, 5 * CELL), (5 * CELL, 2 * CELL)):
        pixels = np.asarray(folders.spot(row, column, CELL))[2:-2, 2:-2]
        logits = infer([pixels])
        spoken_for = int((folder.output.scores(logits)[0] / plain).argmax())
        found = drawing.heat_map(pixels, logits[0], spoken_for, Deadline(60), MAX_QUEUED).png()
        glow = np.ptp(np.asarray(Image.open(io.BytesIO(found)).convert("RGB")).astype(int), axis=-1)
        hottest = np.unravel_index(glow.argmax(), glow.shape)
        assert row <= hottest[0] < row + CELL
        assert column <= hottest[1] < column + CELL


@pytest.mark.parametrize("at_once", [1, 3, MAX_QUEUED, 500])
def test_all_positions_are_inferred_and_no_more_queued_than_allowed(at_once: int) -> None:
    seen, most = 0, 0

    def watched(images: Sequence[np.ndarray]) -> np.ndarray:
        nonlocal seen, most
        seen += len(images)
        most = max(most, batcher.queued + len(images))
        return colours(images)

    drawing, batcher = explainer(watched)
    drawing.heat_map(IMAGE, LOGITS, 0, Deadline(30), at_once)
    assert seen == INFERENCES
    assert most <= at_once


def test_a_passed_deadline_empties_the_queue() -> None:
    gate, entered, ran = threading.Event(), threading.Event(), list[int]()

    def blocked(images: Sequence[np.ndarray]) -> np.ndarray:
        entered.set()
        assert gate.wait(30)
        ran.append(len(images))
        return colours(images)

    drawing, batcher = explainer(blocked)
    first = batcher.submit(IMAGE)
    assert entered.wait(30)
    assert code_of(drawing.heat_map, IMAGE, LOGITS, 0, Deadline(0.01), MAX_QUEUED) is ErrorCode.DEADLINE
    gate.set()
    assert first.result(30).logits.shape == (3,)
    assert batcher.submit(IMAGE).result(30).logits.shape == (3,)
    assert sum(ran) == 2


def test_a_failed_run_is_raised_and_empties_the_queue() -> None:
    failed = threading.Event()

    def fail_once(images: Sequence[np.ndarray]) -> np.ndarray:
        if not failed.is_set():
            failed.set()
            raise ArithmeticError("overflow")
        return colours(images)

    batcher = Batcher(fail_once, {1: 1.0}, lambda size: None)
    drawing = Explainer(batcher.submit, identity, OUTPUT)
    with pytest.raises(ArithmeticError, match="overflow"):
        drawing.heat_map(IMAGE, LOGITS, 0, Deadline(30), MAX_QUEUED)
    assert batcher.submit(IMAGE).result(30).logits.shape == (3,)
    assert batcher.queued == 0
