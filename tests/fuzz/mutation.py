"""Damage to files: changes of bytes and blocks, as random as a seed makes them."""

import re
from random import Random

# Values at which lengths, counts and signs go wrong.
EXTREMES = [bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\x80"]
EXTREMES += [b"\0\1", b"\1\0", b'"', b"\\", b"{", b"[", b"\r\n", b"\n", b"=", b"-", b"9" * 20, b"\xc3", b"\xed\xa0\x80"]
LONGEST_BLOCK = 64
# Values of JSON and TOML: strings, numbers, lists and tables; some are valid in one of the two alone.
STRINGS = [
    "",
    " ",
    "auto",
    "none",
    "en",
    "a\\u0000b",
    "\\ud800",
    "/",
    "..",
    "../../etc/passwd",
    "0-3,8",
    "9-1",
    "é",
    "a" * 5_000,
]
NUMBERS = [
    "0",
    "-1",
    "1",
    "2",
    "1.5",
    "1e308",
    "1e999",
    str(1 << 63),
    "9" * 400,
    "9" * 5_000,
    "nan",
    "-inf",
    "NaN",
    "0x1_0",
]
OTHERS = [
    "true",
    "false",
    "null",
    "[]",
    "[[]]",
    "[0]",
    "[1, 1]",
    '[""]',
    "{}",
    '{"a": 1}',
    "{a = 1}",
    "1979-05-27",
    "07:32:00",
]
DEEP = "[" * 3_000 + "]" * 3_000
LITERALS = [text.encode() for text in (*(f'"{string}"' for string in STRINGS), *NUMBERS, *OTHERS, DEEP)]
VALUE = re.compile(rb'"(?:[^"\\\n]|\\.)*"|\btrue\b|\bfalse\b|-?\d[\d._e+-]*|\[[^\[\]\n]*\]|\{[^{}\n]*\}')


def varied(random: Random, data: bytes) -> bytes:
    """Return `data` with one to eight changes."""
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        data = random.choice(CHANGES)(random, data)
    return data


def with_other_values(random: Random, data: bytes) -> bytes:
    """Return JSON or TOML with up to three values replaced by others, and now and then with its bytes varied."""
    if random.random() < 0.2:
        return varied(random, data)
    for _ in range(random.randint(1, 3)):
        if found := list(VALUE.finditer(data)):
            one, other = random.choice(found), random.choice(found)
            value = random.choice(LITERALS) if random.random() < 0.8 else other[0]
            data = data[: one.start()] + value + data[one.end() :]
    return data


def replace(random: Random, data: bytes) -> bytes:
    start, value = _place(random, data), _value(random)
    return data[:start] + value + data[start + len(value) :]


def flip(random: Random, data: bytes) -> bytes:
    start = _place(random, data)
    return data[:start] + bytes(byte ^ 1 << random.randrange(8) for byte in data[start : start + 1]) + data[start + 1 :]


def insert(random: Random, data: bytes) -> bytes:
    start = _place(random, data)
    return data[:start] + _value(random) + data[start:]


def delete(random: Random, data: bytes) -> bytes:
    start = _place(random, data)
    return data[:start] + data[start + random.randint(1, LONGEST_BLOCK) :]


def repeat(random: Random, data: bytes) -> bytes:
    start = _place(random, data)
    end = start + random.randint(1, LONGEST_BLOCK)
    return data[:end] + data[start:end] * random.randint(1, 9) + data[end:]


def move(random: Random, data: bytes) -> bytes:
    start, target = _place(random, data), _place(random, data)
    block = data[start : start + random.randint(1, LONGEST_BLOCK)]
    return data[:target] + block + data[target + len(block) :]


def cut(random: Random, data: bytes) -> bytes:
    return data[: _place(random, data)]


CHANGES = (replace, replace, replace, flip, flip, insert, delete, repeat, move, cut)


def _place(random: Random, data: bytes) -> int:
    """Return an offset; every other one is near the start, where the headers are."""
    return random.randint(0, min(len(data), random.choice((len(data), 160))))


def _value(random: Random) -> bytes:
    return random.choice(EXTREMES) if random.random() < 0.5 else random.randbytes(random.randint(1, 4))
