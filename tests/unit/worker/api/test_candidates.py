"""Labels that come with a request: taken out of its parts, bounded, and what an answer with them is made of."""

import numpy as np
import pytest

from tests.errors import code_of, error_of
from worker.api.candidates import Candidates, take_candidates
from worker.contract.errors import ErrorCode
from worker.contract.limits import MAX_CANDIDATE_LABELS, MAX_LABEL_CHARACTERS, MAX_QUOTED_CHARACTERS
from worker.models.labels import Labels
from worker.models.scores import Output


def refused(*parts: dict[str, object]) -> bool:
    return code_of(take_candidates, *parts) is ErrorCode.BAD_PARAMETER


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        (["cat", " a dog "], ("cat", "a dog")),
        ("cat, a dog", ("cat", "a dog")),
        ("猫，狗,茶", ("猫", "狗", "茶")),
        ('["red, ripe", "green"]', ("red, ripe", "green")),
        ("cat", ("cat",)),
    ],
)
def test_labels_come_as_a_list_or_as_a_text(given: object, labels: tuple[str, ...]) -> None:
    assert take_candidates({"candidate_labels": given}) == (Candidates(labels, None), [{}])


def test_the_other_parameters_are_left_where_they_were() -> None:
    found, parts = take_candidates(
        {"top_k": "1", "hypothesis_template": "一张{}"}, {"candidate_labels": ["猫"], "labels": "zh"}
    )
    assert found == Candidates(("猫",), "一张{}")
    assert parts == [{"top_k": "1"}, {"labels": "zh"}]


def test_without_labels_there_are_no_candidates() -> None:
    parts = {"candidate_labels": None, "hypothesis_template": None, "top_k": 3}
    assert take_candidates(parts, {}) == (None, [{"top_k": 3}, {}])


@pytest.mark.parametrize("given", [[], [1], 3, {"a": 1}, "[1", "[]", "[1]", '["\\ud83d"]', "[" * 200_000])
def test_what_is_no_list_of_texts_is_refused(given: object) -> None:
    assert refused({"candidate_labels": given})


@pytest.mark.parametrize("found", [[1] * 100_000, {"a": "b" * 100_000}])
def test_a_long_value_is_cut_in_a_message(found: object) -> None:
    assert len(error_of(take_candidates, {"candidate_labels": found}).message) < 2 * MAX_QUOTED_CHARACTERS


@pytest.mark.parametrize("given", ["", "cat,,dog", ["cat", " "]])
def test_a_blank_label_is_refused(given: object) -> None:
    assert refused({"candidate_labels": given})


def test_labels_are_bounded_in_number_and_length() -> None:
    full = ["x" * MAX_LABEL_CHARACTERS] * MAX_CANDIDATE_LABELS
    assert take_candidates({"candidate_labels": full})[0] == Candidates(tuple(full), None)
    assert refused({"candidate_labels": [*full, "y"]})
    assert take_candidates({"candidate_labels": ",".join(full)})[0] == Candidates(tuple(full), None)
    assert refused({"candidate_labels": ",".join([*full, "y"])})
    assert refused({"candidate_labels": ["y" * (MAX_LABEL_CHARACTERS + 1)]})


@pytest.mark.parametrize("template", ["a photo", ["{}"], "{}" + "x" * MAX_LABEL_CHARACTERS])
def test_a_template_has_one_place_for_the_label(template: object) -> None:
    assert refused({"candidate_labels": ["cat"], "hypothesis_template": template})


def test_a_template_alone_is_refused() -> None:
    assert refused({"hypothesis_template": "a {}"})


def test_labels_in_two_places_are_refused() -> None:
    given: dict[str, object] = {"candidate_labels": ["cat"]}
    assert refused(given, given)


def test_an_answer_holds_all_candidates_by_the_models_own_activation() -> None:
    own = Output("sigmoid", Labels({"en": ("x",)}), top_k=1, threshold=0.9)
    output = Candidates(("cat", "猫", "c", "d", "e", "f"), None).output(own)
    scores = output.scores(np.arange(6, dtype=np.float32))
    rows = output.predictions(scores, output.top_k, output.threshold, "both")
    assert [row["label"] for row in rows] == ["f", "e", "d", "c", "猫", "cat"]
    assert rows[4] == {
        "label": "猫", "label_en": None, "label_zh": None, "label_und": "猫", "index": 1, "score": 0.731059
    }  # fmt: skip
