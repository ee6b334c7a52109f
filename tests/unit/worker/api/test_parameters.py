"""What a client may ask of an answer."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.errors import code_of
from worker.api.candidates import CANDIDATES
from worker.api.parameters import HUGGING_FACE, PREDICT, Parameters, parse_parameters
from worker.contract.errors import ErrorCode, ServiceError
from worker.models.labels import Labels
from worker.models.scores import Output

OUTPUT = Output("softmax", Labels({"zh": ("猫", "狗"), "en": ("cat", "dog"), "ja": ("ねこ", "いぬ")}))

TEXTS = st.text("019.-aeéz猫 ", max_size=6)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)


def parse(*sources: Mapping[str, object], known: tuple[str, ...] = PREDICT, output: Output = OUTPUT) -> Parameters:
    return parse_parameters(*sources, known=known, output=output)


def refused(*sources: dict[str, object], known: tuple[str, ...] = PREDICT) -> bool:
    return code_of(parse, *sources, known=known) is ErrorCode.BAD_PARAMETER


def test_without_any_the_defaults_hold() -> None:
    assert parse() == Parameters(5, 0.0, "both", None, False, None, None)


def test_a_model_has_defaults_of_its_own_which_a_request_overrules() -> None:
    own = replace(OUTPUT, top_k=1, threshold=0.5)
    assert parse(output=own) == Parameters(1, 0.5)
    assert parse({"top_k": 3}, {"threshold": 0}, output=own) == Parameters(3, 0.0)


def test_text_and_json_give_the_same() -> None:
    wanted = Parameters(top_k=3, threshold=0.5, labels="ja", model="bright", heat_map=True, class_index=1)
    text = {"top_k": "3", "threshold": "0.5", "labels": "ja", "model": "bright", "heat_map": "true", "class": "1"}
    json = {"top_k": 3, "threshold": 0.5, "labels": "ja", "model": "bright", "heat_map": True, "class": 1}
    assert parse(text) == parse(json) == wanted
    assert parse({"top_k": 3.0}, {"threshold": 1}) == Parameters(top_k=3, threshold=1.0)


def test_null_is_the_default() -> None:
    assert parse({"top_k": None, "function_to_apply": None}, known=HUGGING_FACE) == Parameters()


@pytest.mark.parametrize(
    "value", [0, -1, "0", "abc", "", "1.5", 1.5, True, [], {}, float("inf"), float("nan"), "9" * 5000]
)
def test_top_k_is_a_whole_number_of_at_least_1(value: object) -> None:
    assert refused({"top_k": value})


@pytest.mark.parametrize("value", [-0.1, 1.1, "2", "abc", "", "nan", float("nan"), float("inf"), False, [1], 10**400])
def test_threshold_is_a_number_from_0_to_1(value: object) -> None:
    assert refused({"threshold": value})


@pytest.mark.parametrize("value", ["fr", "", "ZH", 1, ["zh"]])
def test_labels_are_of_the_languages_there_are(value: object) -> None:
    assert refused({"labels": value})


@pytest.mark.parametrize("value", ["yes", "1", " true", "", 1, 0.0, [], {}])
def test_heat_map_is_true_or_false(value: object) -> None:
    assert refused({"heat_map": value})


def test_no_heat_map_may_be_said_too() -> None:
    assert parse({"heat_map": "false"}) == parse({"heat_map": False}) == Parameters()


@pytest.mark.parametrize("word", ["true", "True", "TRUE"])
def test_a_heat_map_may_be_asked_for_in_any_case(word: str) -> None:
    assert parse({"heat_map": word}) == Parameters(heat_map=True)


@pytest.mark.parametrize("value", [2, -1, "2", "cat", "", 0.5, True, []])
def test_class_is_the_index_of_a_class(value: object) -> None:
    assert refused({"class": value, "heat_map": True})


def test_a_class_without_a_heat_map_is_refused() -> None:
    assert refused({"class": 0})
    assert refused({"class": 0, "heat_map": "false"})


def test_the_model_is_a_text() -> None:
    assert refused({"model": 3})


def test_a_function_to_apply_is_one_of_the_activations() -> None:
    assert refused({"function_to_apply": "tanh"}, known=HUGGING_FACE)


def test_an_unknown_parameter_is_refused() -> None:
    assert refused({"topk": 3})
    assert refused({"function_to_apply": "none"})


def test_a_parameter_in_two_places_is_refused() -> None:
    assert refused({"top_k": 3}, {"top_k": 3})


@given(st.dictionaries(st.sampled_from(sorted({*PREDICT, "function_to_apply", "x"} - {*CANDIDATES})), JSON_VALUES))
def test_any_json_is_either_parsed_into_its_bounds_or_refused(given_: dict[str, object]) -> None:
    try:
        found = parse(given_, known=(*PREDICT, "function_to_apply"))
    except ServiceError:
        return
    assert found.top_k >= 1
    assert 0 <= found.threshold <= 1
    assert found.labels in ("zh", "en", "ja", "both")
    assert found.class_index in (None, 0, 1)
