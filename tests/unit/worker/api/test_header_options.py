"""Headers with options: the usual ones are read as werkzeug reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_options_header

from worker.api.header_options import USUAL, parse_options

USUAL_HEADERS = [
    "image/jpeg",
    "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
    'multipart/form-data;boundary="x"',
    ' form-data; name="image"; filename="photo.jpg"',
    ' form-data; name="image"; filename="猫 a;b=c.jpg"',
    'form-data; name=""; filename=""',
]
PARTS = st.sampled_from(
    [";", " ", "=", '"', "\\", "%22", "*", "*0", "'", "name", "filename", "UTF-8''", "a", "猫", "-/.:"]
)


@pytest.mark.parametrize("header", USUAL_HEADERS)
def test_what_clients_write_is_read_at_once_and_as_werkzeug_reads_it(header: str) -> None:
    assert USUAL.fullmatch(header)
    assert parse_options(header) == parse_options_header(header.strip())


@given(st.lists(PARTS, max_size=16).map("".join))
def test_every_other_header_is_read_as_werkzeug_reads_it(text: str) -> None:
    for header in (text, f"form-data; {text}", f'form-data; name="{text}"; filename={text}'):
        assert parse_options(header) == parse_options_header(header)


@pytest.mark.parametrize("after", ["", " ", "; charset=UTF-8"])
@pytest.mark.parametrize("name", ["boundary", "Boundary"])
@pytest.mark.parametrize(
    "boundary", ["===1700000000000===", "----=_Part_0_1.2", "*****", "a/b", "a:b", "a?b", "a b", "(a)"]
)
def test_a_boundary_may_lack_its_quotes(boundary: str, name: str, after: str) -> None:
    for quoted in (boundary, f'"{boundary}"'):
        value, options = parse_options(f"multipart/form-data; {name}={quoted}{after}")
        assert (value, options["boundary"]) == ("multipart/form-data", boundary)
