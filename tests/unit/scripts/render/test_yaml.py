"""YAML that a person reads: what comes back is what was written."""

import pytest
import yaml as reader
from hypothesis import given
from hypothesis import strategies as some

from scripts.render.yaml import dump

TEXT = some.text(
    some.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufeff")
)
VALUES = some.recursive(
    TEXT | some.integers() | some.booleans(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(TEXT, inner, max_size=3),
)


@given(VALUES)
def test_a_reader_gets_back_what_was_written(value: object) -> None:
    assert reader.safe_load(dump(value)) == value


def test_it_is_as_a_person_would_write_it() -> None:
    value = {"kind": "Pod", "list": [{"name": "a", "on": True}, 3], "text": "one\ntwo\n", "port": "80", "none": {}}
    assert dump(value) == (
        'kind: Pod\nlist:\n  - name: a\n    "on": true\n  - 3\ntext: |\n  one\n  two\nport: "80"\nnone: {}\n'
    )


@pytest.mark.parametrize("word", ["yes", "No", "null", "1e3", "0x1", "-", "~", "2026-01-01", "", "a: b", "# c"])
def test_words_that_mean_something_else_are_quoted(word: str) -> None:
    assert reader.safe_load(dump([word])) == [word]
