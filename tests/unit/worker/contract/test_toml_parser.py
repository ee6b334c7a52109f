"""Parsing TOML: what nothing can use is refused, and what is wrong with it said."""

import pytest

from worker.contract.toml_parser import WIDE_NUMBER, parse_toml


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a = 1 1", "not valid TOML: Expected newline or end of document after a statement (at line 1, column 7)"),
        (f"a = {'[' * 3_000}{']' * 3_000}", "found values nested too deeply, needed at most a few levels"),
        ("\ufeffa = 1", "found a byte order mark (BOM) at the beginning, needed UTF-8 without one"),
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
