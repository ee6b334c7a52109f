"""JSON within its bounds, which are checked before anything is made of it."""

import json
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.errors import code_of, error_of
from worker.api.json_text import parse
from worker.contract.errors import ErrorCode
from worker.contract.limits import MAX_JSON_CONTAINERS, MAX_JSON_VALUES, MAX_MESSAGE_CHARACTERS

ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Any)
TEXTS = msgspec.json.Decoder(list[str])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, st.booleans())
def test_what_python_writes_is_read(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse(text, ANY, "any JSON") == parse(text.encode(), ANY, "any JSON") == value


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[1", b"\xff", b'"\xff"', rb'"\ud800"', b"NaN", b"1e999", b"9" * 5000, b"[" * 999, b"1 2", b"'a'"],
)
def test_text_that_is_no_json_is_refused(text: bytes) -> None:
    assert code_of(parse, text, ANY, "any JSON") is ErrorCode.BAD_REQUEST


def test_json_of_another_type_is_refused_under_the_code_of_its_place() -> None:
    error = error_of(parse, b"[1]", TEXTS, "a list of strings", ErrorCode.BAD_PARAMETER)
    assert error.code is ErrorCode.BAD_PARAMETER


@pytest.mark.parametrize(
    ("many", "more"),
    [
        (b"[0" + b",0" * MAX_JSON_VALUES + b"]", b"[0" + b",0" * (MAX_JSON_VALUES + 1) + b"]"),
        (b"[" + b"{}," * (MAX_JSON_CONTAINERS - 1) + b"1]", b"[" + b"{}," * MAX_JSON_CONTAINERS + b"1]"),
        (b"[" * 500 + b"]" * 500, b"[" * (MAX_JSON_CONTAINERS + 1) + b"]" * (MAX_JSON_CONTAINERS + 1)),
    ],
    ids=["values", "containers", "depth"],
)
def test_values_and_containers_are_counted(many: bytes, more: bytes) -> None:
    assert parse(many, ANY, "any JSON") == json.loads(many)
    assert code_of(parse, more, ANY, "any JSON") is ErrorCode.BAD_REQUEST


@pytest.mark.parametrize("unit", [b"[],", b'"",', b"1,", b'{"a":1},', b"["])
def test_nothing_is_made_of_values_that_are_too_many(unit: bytes) -> None:
    text = b"[" + unit * 1_000_000
    tracemalloc.start()
    try:
        code = code_of(parse, text, ANY, "any JSON")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert code is ErrorCode.BAD_REQUEST
    assert peak < 100_000


def test_a_long_key_is_cut_in_the_message() -> None:
    class Closed(msgspec.Struct, forbid_unknown_fields=True):
        """No key is known."""

    text = b'{"' + b"k" * 1_000_000 + b'": 1}'
    assert len(error_of(parse, text, msgspec.json.Decoder(Closed), "an empty object").message) < MAX_MESSAGE_CHARACTERS
