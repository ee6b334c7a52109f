"""Which candidates may serve and which is fastest, computed from recorded results."""

from dataclasses import replace

import numpy as np
import pytest

from scripts.models.tools.prepare import select
from scripts.models.tools.prepare.benchmark import BenchmarkResult, Candidate, useful_batch_sizes
from scripts.models.tools.prepare.merge import merge_measurements, with_decoding
from worker.contract.decoding import DecodingMeasurement
from worker.contract.engine import EngineSpec, Measurement, Scaling
from worker.models.labels import Labels
from worker.models.scores import Group, Output

REFERENCE = np.array([[3.0, 1.0, 0.0], [0.0, 2.0, 2.005], [0.0, 0.0, 9.0], [5.0, 1.0, 0.0]], np.float32)
ALL = np.arange(3)
LABELS = Labels({"en": ("a", "b", "c")})
ROW = Measurement("here", "torch", "f32", (1,), 10.0, 1.0, 0.0, False)


def test_the_same_best_class_is_agreement_regardless_of_its_score() -> None:
    assert select.agreement(REFERENCE, REFERENCE * 2 + 1, ALL) == 1
    assert select.agreement(REFERENCE, np.roll(REFERENCE, 1, axis=1), ALL) == 0
    assert select.agreement(REFERENCE, REFERENCE * np.array([[1], [1], [-1], [1]], np.float32), ALL) == 0.75


def test_either_class_agrees_with_a_tie_of_the_reference() -> None:
    other = REFERENCE.copy()
    other[1] = [0.0, 2.005, 2.0]
    assert select.agreement(REFERENCE, other, ALL) == 1
    other[1] = [3.0, 2.0, 2.005]
    assert select.agreement(REFERENCE, other, ALL) == 0.75


def test_classes_of_groups_do_not_compete_for_the_label() -> None:
    other = REFERENCE + np.array([0, 0, 99], np.float32)
    assert select.agreement(REFERENCE, other, np.array([0, 1])) == 1


def result(logits: np.ndarray = REFERENCE) -> BenchmarkResult:
    return BenchmarkResult(logits, "", {1: 0.02, 2: 0.0199, 4: 0.01, 8: 0.0101}, 100)


def test_a_row_has_speed_agreement_and_the_largest_difference_of_a_score() -> None:
    shifted = REFERENCE.copy()
    shifted[0] = [1.0, 3.0, 0.0]
    output = Output("softmax", LABELS)
    row = select.compare(Candidate("openvino", "int8", "here"), result(shifted), REFERENCE, output)
    scores = output.scores(REFERENCE[0])
    assert (row.machine, row.engine, row.precision, row.batch_sizes) == ("here", "openvino", "int8", (1, 4))
    assert (row.images_per_s, row.agreement, row.chosen) == (50.0, 0.75, False)
    assert row.difference == pytest.approx(scores[0] - scores[1])


def test_scores_are_compared_after_the_activation_of_each_class() -> None:
    grouped = Output("softmax", LABELS, groups=(Group("ripe", (2,), "sigmoid"),))
    other = REFERENCE.copy()
    other[3, 2] = 9.0
    row = select.compare(Candidate("openvino", "f32", "here"), result(other), REFERENCE, grouped)
    assert row.agreement == 1
    assert row.difference == pytest.approx(1 / (1 + np.exp(-9)) - 0.5)


def test_only_images_that_both_classified_are_compared() -> None:
    row = select.compare(Candidate("torch", "f32", "here"), result(REFERENCE[:2]), REFERENCE, Output("softmax", LABELS))
    assert (row.agreement, row.difference) == (1, 0)


def test_a_gpu_is_rated_with_full_batches_and_a_cpu_with_single_images() -> None:
    assert select.rate(Candidate("torch", "fp16", "gpu", "GPU-1"), result()) == 100
    assert select.rate(Candidate("torch", "bf16", "cpu"), result()) == 50


@pytest.mark.parametrize(
    ("seconds", "useful"),
    [
        ({1: 1.0}, (1,)),
        ({1: 1.0, 2: 0.98, 4: 0.96}, (1, 4)),
        ({1: 1.0, 2: 0.9, 4: 0.95, 8: 0.8}, (1, 2, 8)),
        ({1: 1.0, 2: 1.2, 4: 1.3}, (1,)),
    ],
)
def test_a_batch_size_is_useful_if_it_clearly_beats_all_smaller_ones(
    seconds: dict[int, float], useful: tuple[int, ...]
) -> None:
    assert useful_batch_sizes(seconds) == useful


def test_the_fastest_candidate_that_passes_is_chosen_on_each_machine() -> None:
    rows = [
        ROW,
        replace(ROW, engine="openvino", images_per_s=90.0, agreement=0.985),
        replace(ROW, engine="openvino", precision="int8", images_per_s=80.0, agreement=0.98),
        replace(ROW, engine="onnxruntime", images_per_s=20.0),
        replace(ROW, machine="there", chosen=True),
        replace(ROW, machine="there", engine="openvino", images_per_s=5.0),
    ]
    assert [row.chosen for row in select.choose_fastest(rows)] == [False, False, True, False, True, False]


def test_a_machine_without_a_passing_candidate_has_no_rows() -> None:
    assert select.choose_fastest([replace(ROW, agreement=0.5), replace(ROW, machine="there")]) == [
        replace(ROW, machine="there", chosen=True)
    ]


PREPARED = {"openvino-f32": "prepared/f32.xml", "openvino-int8": "prepared/int8.xml"}
BEFORE = EngineSpec(
    "torch", "f32", (1, 4), 0.0, PREPARED,
    (replace(ROW, chosen=True), replace(ROW, machine="there"),
     replace(ROW, machine="there", engine="openvino", precision="int8", images_per_s=99.0, chosen=True)),
    (Scaling("here", 1, 9.0, 9.0), Scaling("there", 1, 9.0, 9.0)),
)  # fmt: skip
NEW = [replace(ROW, images_per_s=11.0), replace(ROW, engine="openvino", images_per_s=40.0)]


def test_rows_of_this_machine_are_replaced_and_those_of_others_kept() -> None:
    spec = merge_measurements(BEFORE, "timm", PREPARED, (), NEW)
    assert spec.measured == (*BEFORE.measured[1:], NEW[0], replace(NEW[1], chosen=True))
    assert spec.scaling == BEFORE.scaling[1:]
    assert spec.prepared == PREPARED
    assert (spec.name, spec.precision, spec.batch_sizes) == ("openvino", "f32", (1, 4))


def test_another_machines_rows_of_a_remade_network_are_dropped() -> None:
    spec = merge_measurements(BEFORE, "timm", PREPARED, {"openvino-int8"}, NEW)
    assert [row for row in spec.measured if row.machine == "there"] == [replace(ROW, machine="there", chosen=True)]
    assert spec.prepared == {"openvino-f32": "prepared/f32.xml"}


def test_the_safe_choice_is_kept_if_openvino_in_f32_does_not_pass() -> None:
    spec = merge_measurements(BEFORE, "timm", PREPARED, (), [ROW, replace(NEW[1], agreement=0.9)])
    assert (spec.name, spec.precision) == ("torch", "f32")


@pytest.mark.parametrize(
    ("small", "large", "decode"), [(1.0, 0.98, "scaled"), (1.0, 0.979, "exact"), (0.9, 1.0, "exact")]
)
def test_images_are_decoded_whole_where_answers_differ_otherwise(small: float, large: float, decode: str) -> None:
    rows = [DecodingMeasurement("small", 50, small, 0.1), DecodingMeasurement("large", 50, large, 0.2)]
    spec = with_decoding(replace(BEFORE, decode="scaled"), rows)
    assert spec == replace(BEFORE, decode=decode, decoding=tuple(rows))
