"""Reading a TOML table strictly: all faults at once, each with its place."""

import tomllib

import pytest

from worker.contract.toml_reader import ModelError, TomlReader, abbreviate


def reader_of(text: str) -> TomlReader:
    return TomlReader(tomllib.loads(text), "model.toml")


def faults(reader: TomlReader) -> list[str]:
    with pytest.raises(ModelError) as caught:
        reader.raise_faults()
    return str(caught.value).splitlines()


def test_valid_values_are_returned() -> None:
    reader = reader_of(
        "t = 'x'\nn = 1\nf = 2\nl = [1, 2.5]\nc = 'b'\n[in]\nk = 3\n[[rows]]\na = 1\n[[rows]]\na = 2\n[free]\nx = 1"
    )
    assert reader.text("t") == "x"
    assert reader.text("missing", "") == ""
    assert reader.number("n", int) == 1
    assert type(reader.number("f", float)) is float
    assert reader.number("absent", int, 7) == 7
    assert reader.numbers("l", float, 2) == (1.0, 2.5)
    assert reader.choice("c", ("a", "b")) == "b"
    assert reader.table("in").number("k", int) == 3
    assert [row.number("a", int) for row in reader.tables("rows")] == [1, 2]
    assert reader.table("free").remaining() == {"x": 1}
    reader.raise_faults()


def test_every_fault_has_its_path_and_requirement() -> None:
    reader = reader_of("t = 1\nn = true\nf = '1'\nl = [1]\nc = 'z'\nin = 3\nrows = []\n[deep]\nk = 1.5\ntypo = 1")
    reader.text("t")
    reader.text("t2")
    reader.number("n", int)
    reader.number("f", float)
    reader.numbers("l", int, 2)
    reader.numbers("m", float, None)
    reader.choice("c", ("a", "b"))
    reader.table("in")
    reader.tables("rows")
    deep = reader.table("deep")
    deep.number("k", int)
    deep.table("inner")
    deep.fault("", "must not be empty")
    assert faults(reader) == [
        "model.toml: t: needs a string, found 1",
        "model.toml: t2: needs a string, found nothing",
        "model.toml: n: needs a whole number, found True",
        "model.toml: f: needs a number, found '1'",
        "model.toml: l: needs a list of 2 whole numbers, found [1]",
        "model.toml: m: needs a list of one or more numbers, found nothing",
        "model.toml: c: needs one of a, b, found 'z'",
        "model.toml: in: needs a table, [in], found 3",
        "model.toml: rows: needs one or more tables, [[rows]], found []",
        "model.toml: deep/k: needs a whole number, found 1.5",
        "model.toml: deep/inner: needs a table, [deep.inner], found nothing",
        "model.toml: deep: must not be empty",
        "model.toml: deep/typo: is not a known key; remove it or correct its spelling",
    ]


def test_an_unknown_key_in_a_row_is_named_with_its_number() -> None:
    reader = reader_of("[[rows]]\n[[rows]]\nb = 1")
    reader.tables("rows")
    assert faults(reader) == ["model.toml: rows/1/b: is not a known key; remove it or correct its spelling"]


def test_an_empty_string_is_refused() -> None:
    reader = reader_of("t = ''")
    reader.text("t")
    assert faults(reader) == ["model.toml: t: needs a string, found ''"]


@pytest.mark.parametrize(("value", "found"), [("[]", "[]"), ("['a', 1]", "['a', 1]"), ("['']", "['']"), ("'a'", "'a'")])
def test_a_list_of_texts_needs_at_least_one_and_only_strings(value: str, found: str) -> None:
    assert reader_of("l = ['a', '猫']").texts("l") == ("a", "猫")
    reader = reader_of(f"l = {value}")
    assert reader.texts("l") == ()
    assert faults(reader) == [f"model.toml: l: needs a list of one or more strings, found {found}"]


def test_long_lists_are_abbreviated_to_eight_names_and_a_count() -> None:
    assert abbreviate("abc") == "a, b, c"
    assert abbreviate("abcdefgh") == "a, b, c, d, e, f, g, h"
    assert abbreviate("abcdefghi") == "a, b, c, d, e, f, g, h and 1 more"
