"""Labels that come with a request: taken out of its parts, bounded, and what an answer with them is made of."""

import numpy as np
import pytest

from worker.api.candidates import Candidates, take_candidates
from worker.contract.errors import BadParameter
from worker.contract.limits import MAX_CANDIDATE_LABELS, MAX_LABEL_CHARACTERS
from worker.models.labels import Labels
from worker.models.scores import Output

NEEDED = "candidate_labels must be a list of texts, or one text with commas between them, found "


def refusal(*parts: dict[str, object]) -> str:
    with pytest.raises(BadParameter) as caught:
        take_candidates(*parts)
    return caught.value.message


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


@pytest.mark.parametrize(
    ("given", "found"),
    [([], "[]"), ([1], "[1]"), (3, "3"), ({"a": 1}, "{'a': 1}"), ("[1", "'[1'"), ("[]", "'[]'")],
)
def test_what_is_no_list_of_texts_is_refused(given: object, found: str) -> None:
    assert refusal({"candidate_labels": given}) == NEEDED + found


def test_a_long_finding_is_cut() -> None:
    assert len(refusal({"candidate_labels": [1] * 1_000_000})) < 200


@pytest.mark.parametrize("given", ["", "cat,,dog", ["cat", " "]])
def test_a_blank_label_is_refused(given: object) -> None:
    assert refusal({"candidate_labels": given}) == (
        "candidate_labels holds a blank text; each label needs a letter at least"
    )


def test_labels_are_bounded_in_number_and_length() -> None:
    full = ["x" * MAX_LABEL_CHARACTERS] * MAX_CANDIDATE_LABELS
    assert take_candidates({"candidate_labels": full})[0] == Candidates(tuple(full), None)
    assert refusal({"candidate_labels": [*full, "y"]}) == "candidate_labels must be at most 256, found 257; send fewer"
    assert refusal({"candidate_labels": ["y" * 201]}) == (
        "candidate_labels holds 201 characters, at most 200 fit; shorten it"
    )


def test_half_a_character_is_refused() -> None:
    assert refusal({"candidate_labels": ["\ud83d"]}) == (
        "candidate_labels holds half a character, found '\\ud83d'; send whole ones"
    )


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("a photo", "hypothesis_template must hold {} once, where the label goes, found 'a photo'"),
        (["{}"], "hypothesis_template must be a text, found ['{}']"),
        ("{}" + "x" * 200, "hypothesis_template holds 202 characters, at most 200 fit; shorten it"),
    ],
)
def test_a_template_has_one_place_for_the_label(template: object, said: str) -> None:
    assert refusal({"candidate_labels": ["cat"], "hypothesis_template": template}) == said


def test_a_template_alone_is_refused() -> None:
    assert refusal({"hypothesis_template": "a {}"}) == (
        "hypothesis_template says what candidate_labels are put into; give it with candidate_labels"
    )


def test_labels_in_two_places_are_refused() -> None:
    given: dict[str, object] = {"candidate_labels": ["cat"]}
    assert refusal(given, given) == "candidate_labels is given twice; give it once"


def test_an_answer_holds_all_candidates_by_the_models_own_activation() -> None:
    own = Output("sigmoid", Labels({"en": ("x",)}), top_k=1, threshold=0.9)
    output = Candidates(("cat", "猫", "c", "d", "e", "f"), None).output(own)
    scores = output.scores(np.arange(6, dtype=np.float32))
    rows = output.predictions(scores, output.top_k, output.threshold, "both")
    assert [row["label"] for row in rows] == ["f", "e", "d", "c", "猫", "cat"]
    assert rows[4] == {
        "label": "猫", "label_en": None, "label_zh": None, "label_und": "猫", "index": 1, "score": 0.731059
    }  # fmt: skip
