"""Reading a TOML table strictly: all faults at once, each with its place."""

import tomllib

import pytest

from worker.contract.fields import WIDE_NUMBER, Fields, ModelError, parse_toml, some


def fields(text: str) -> Fields:
    return Fields(tomllib.loads(text), "model.toml")


def faults(read: Fields) -> list[str]:
    with pytest.raises(ModelError) as caught:
        read.raise_faults()
    return str(caught.value).splitlines()


def test_what_is_right_is_returned() -> None:
    top = fields(
        "t = 'x'\nn = 1\nf = 2\nl = [1, 2.5]\nc = 'b'\n[in]\nk = 3\n[[rows]]\na = 1\n[[rows]]\na = 2\n[free]\nx = 1"
    )
    assert top.text("t") == "x"
    assert top.text("missing", "") == ""
    assert top.number("n", int) == 1
    assert type(top.number("f", float)) is float
    assert top.number("absent", int, 7) == 7
    assert top.numbers("l", float, 2) == (1.0, 2.5)
    assert top.choice("c", ("a", "b")) == "b"
    assert top.table("in").number("k", int) == 3
    assert [row.number("a", int) for row in top.tables("rows")] == [1, 2]
    assert top.table("free").rest() == {"x": 1}
    top.raise_faults()


def test_every_fault_is_found_with_its_path_and_what_is_needed() -> None:
    top = fields("t = 1\nn = true\nf = '1'\nl = [1]\nc = 'z'\nin = 3\nrows = []\n[deep]\nk = 1.5\ntypo = 1")
    top.text("t")
    top.text("t2")
    top.number("n", int)
    top.number("f", float)
    top.numbers("l", int, 2)
    top.numbers("m", float, None)
    top.choice("c", ("a", "b"))
    top.table("in")
    top.tables("rows")
    deep = top.table("deep")
    deep.number("k", int)
    deep.table("inner")
    deep.fault("", "must not be empty")
    assert faults(top) == [
        "model.toml: t: needs a text, found 1",
        "model.toml: t2: needs a text, found nothing",
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
        "model.toml: deep/typo: is not a key known here; remove it or correct its spelling",
    ]


def test_an_unknown_key_in_a_row_is_named_with_its_number() -> None:
    top = fields("[[rows]]\n[[rows]]\nb = 1")
    top.tables("rows")
    assert faults(top) == ["model.toml: rows/1/b: is not a key known here; remove it or correct its spelling"]


def test_an_empty_text_is_no_text() -> None:
    top = fields("t = ''")
    top.text("t")
    assert faults(top) == ["model.toml: t: needs a text, found ''"]


@pytest.mark.parametrize(("value", "found"), [("[]", "[]"), ("['a', 1]", "['a', 1]"), ("['']", "['']"), ("'a'", "'a'")])
def test_a_list_of_texts_holds_one_at_least_and_nothing_else(value: str, found: str) -> None:
    assert fields("l = ['a', '猫']").texts("l") == ("a", "猫")
    top = fields(f"l = {value}")
    assert top.texts("l") == ()
    assert faults(top) == [f"model.toml: l: needs a list of one or more texts, found {found}"]


def test_some_names_are_the_first_eight_and_how_many_more() -> None:
    assert some("abc") == "a, b, c"
    assert some("abcdefgh") == "a, b, c, d, e, f, g, h"
    assert some("abcdefghi") == "a, b, c, d, e, f, g, h and 1 more"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a = 1 1", "not valid TOML: Expected newline or end of document after a statement (at line 1, column 7)"),
        (f"a = {'[' * 3_000}{']' * 3_000}", "found values nested too deeply, needed at most a few levels"),
        (f"a = {1 << 63}", WIDE_NUMBER),
        (f"a = [1, {{b = {-(1 << 63) - 1}}}]", WIDE_NUMBER),
        (f"a = {'9' * 5_000}", WIDE_NUMBER),
        ('a = "b\\u0000c"', "found the character U+0000 in 'b\\x00c', needed a text without it"),
        ('[["a\\u0000"]]\nb = 1', "found the character U+0000 in 'a\\x00', needed a text without it"),
    ],
)
def test_toml_that_nothing_can_use_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the message is compared below
        parse_toml(text)
    assert str(refused.value) == fault


def test_toml_numbers_of_64_bits_are_read() -> None:
    assert parse_toml(f"a = [{(1 << 63) - 1}, {-(1 << 63)}]") == {"a": [(1 << 63) - 1, -(1 << 63)]}
