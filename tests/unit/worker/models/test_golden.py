"""The check of golden images before a worker is ready."""

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests import folders
from worker.contract.errors import ErrorCode, ServiceError
from worker.contract.toml_reader import ModelError
from worker.models.folder import ModelFolder, read_folder
from worker.models.golden import check_golden
from worker.models.labels import Labels
from worker.models.scores import Group, Output

SURE = np.log(np.array([0.9, 0.06, 0.04], np.float32))  # softmax gives these shares back


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    found = read_folder(
        folders.finish(tmp_path, lambda pixels: folders.Bright()(pixels), loader="transformers", weights=".")
    )
    (golden,) = found.golden
    return dataclasses.replace(found, golden=(dataclasses.replace(golden, index=0, label="cat", score=0.9),))


def return_logits(logits: np.ndarray, image: bytes) -> np.ndarray:
    return logits


def error_text(folder: ModelFolder, logits: np.ndarray) -> str:
    with pytest.raises(ModelError) as caught:
        check_golden(folder, lambda image: logits, "f32")
    return str(caught.value).replace(str(folder.path), "F")


def test_the_expected_answer_passes_and_gets_the_images_bytes(folder: ModelFolder) -> None:
    received: list[bytes] = []

    def logits_of(image: bytes) -> np.ndarray:
        received.append(image)
        return SURE

    check_golden(folder, logits_of, "f32")
    assert received == [(folder.path / "golden/one.png").read_bytes()]


def test_classes_of_a_group_do_not_take_part(folder: ModelFolder) -> None:
    labels = Labels({"zh": ("猫", "狗", "茶", "旧", "新"), "en": ("cat", "dog", "tea", "old", "new")})
    output = Output("softmax", labels, groups=(Group("age", (3, 4), "softmax"),))
    grouped = dataclasses.replace(folder, output=output)
    check_golden(grouped, lambda image: np.append(SURE, np.array([9, 7], np.float32)), "f32")
    plain = dataclasses.replace(folder, output=Output("softmax", labels))
    assert "answered 旧 old" in error_text(plain, np.append(SURE, np.array([9, 7], np.float32)))


def test_another_class_is_refused(folder: ModelFolder) -> None:
    assert error_text(folder, SURE[[1, 0, 2]]) == (
        "F/golden/one.png: answered 狗 dog (0.900), expected cat (0.900); "
        "the model, its input settings or its engine changed"
    )


def test_int8_may_move_a_score_further_but_not_to_another_class(folder: ModelFolder) -> None:
    check_golden(folder, lambda image: np.log(np.array([0.71, 0.2, 0.09], np.float32)), "int8")
    for found in ([0.69, 0.2, 0.11], [0.4, 0.5, 0.1]):
        logits = np.log(np.array(found, np.float32))
        with pytest.raises(ModelError, match=r"expected cat \(0\.900\)"):
            check_golden(folder, partial(return_logits, logits), "int8")


@pytest.mark.parametrize(("recorded", "runs"), [("f32", "bf16"), ("f32", "fp16"), ("int8", "int8")])
def test_only_int8_against_another_precision_gets_the_larger_tolerance(
    folder: ModelFolder, recorded: str, runs: str
) -> None:
    other_precision = dataclasses.replace(folder, engine=dataclasses.replace(folder.engine, precision=recorded))
    with pytest.raises(ModelError, match=r"expected cat \(0\.900\)"):
        check_golden(other_precision, lambda image: np.log(np.array([0.71, 0.2, 0.09], np.float32)), runs)


@pytest.mark.parametrize(("share", "passes"), [(0.86, True), (0.94, True), (0.84, False), (0.96, False)])
def test_a_score_may_differ_by_the_tolerance_and_not_more(folder: ModelFolder, share: float, passes: bool) -> None:
    logits = np.log(np.array([share, 1 - share - 0.01, 0.01], np.float32))
    if passes:
        check_golden(folder, lambda image: logits, "f32")
    else:
        assert error_text(folder, logits).startswith(
            f"F/golden/one.png: answered 猫 cat ({share:.3f}), expected cat (0.900)"
        )


def test_a_network_with_another_number_of_outputs_is_refused(folder: ModelFolder) -> None:
    assert error_text(folder, np.zeros(5, np.float32)) == "F: the network has 5 outputs, the labels have 3 lines"


def test_not_a_number_is_refused(folder: ModelFolder) -> None:
    assert "answered" in error_text(folder, np.full(3, np.nan, np.float32))


def test_an_image_that_cannot_be_decoded_is_refused(folder: ModelFolder) -> None:
    def logits_of(image: bytes) -> np.ndarray:
        raise ServiceError(ErrorCode.UNDECODABLE, "cut short")

    with pytest.raises(ModelError, match=r"golden/one.png: golden image cannot be read: cut short$"):
        check_golden(folder, logits_of, "f32")
