"""Forms and their parts, held against werkzeug's parser, and the bounds of both."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import encode_multipart_formdata
from werkzeug.formparser import MultiPartParser

from tests.errors import code_of
from worker.api.multipart import Part, split
from worker.contract.errors import ErrorCode
from worker.contract.limits import (
    MAX_BOUNDARY_CHARACTERS,
    MAX_FIELD_BYTES,
    MAX_FORM_HEADER_BYTES,
    MAX_FORM_PARTS,
    MAX_PART_HEADER_BYTES,
)

NAMES = st.text("ab;= 猫%'\"", min_size=1, max_size=6)
PARTS = st.lists(
    st.tuples(NAMES, st.none() | NAMES, st.binary(max_size=20) | st.sampled_from([b"\r\n", b"--x", b"\n"]))
)
FILE = b'Content-Disposition: form-data; name="image"; filename="a.png"'


def form(*heads_and_data: tuple[bytes, bytes], end: bytes = b"--x--\r\n") -> bytes:
    return b"".join(b"--x\r\n" + head + b"\r\n\r\n" + data + b"\r\n" for head, data in heads_and_data) + end


def contents(body: bytes, boundary: str = "x") -> list[tuple[str, str | None, bytes]]:
    return [(part.name, part.filename, bytes(part.data)) for part in split(body, boundary)]


@given(PARTS)
def test_parts_are_werkzeugs(parts: list[tuple[str, str | None, bytes]]) -> None:
    fields = [(name, data if filename is None else (filename, data)) for name, filename, data in parts]
    body, _ = encode_multipart_formdata(fields, boundary="0123456789abcdef")
    found = contents(body, "0123456789abcdef")
    form_, files = MultiPartParser().parse(io.BytesIO(body), b"0123456789abcdef", len(body))
    assert sorted(
        (name, data.decode(errors="replace")) for name, filename, data in found if filename is None
    ) == sorted(form_.items(multi=True))
    assert sorted((name, filename or "", data) for name, filename, data in found if filename is not None) == sorted(
        (name, file.filename or "", file.read()) for name, file in files.items(multi=True)
    )


@pytest.mark.parametrize(
    "data", [b"", b"\r\n", b"\n", b"\r", b"--x", b"--x--", b"\r\n--", b"\r\n-x", b"a\r\n\r\nb", b"\n--x"]
)
def test_data_stay_as_they_are(data: bytes) -> None:
    assert contents(form((FILE, data))) == [("image", "a.png", data)]


@pytest.mark.parametrize(
    "body",
    [
        b"text before\r\n" + form((FILE, b"1")),
        form((FILE, b"1")) + b"text after\r\n--x\r\n",
        form((FILE, b"1")).replace(b"--x\r\n", b"--x \t\r\n"),
        form((b"content-disposition:form-data;name=image; filename=a.png", b"1")),
        form((FILE.replace(b"; filename", b";\r\n filename"), b"1")),
        form((b"X-A: b\r\n" + FILE + b"\r\nContent-Type: image/png", b"1")),
        form((FILE.replace(b"filename=", b"filename*=UTF-8''").replace(b'"a.png"', b"a.png"), b"1")),
    ],
)
def test_the_standards_other_forms_are_read(body: bytes) -> None:
    assert contents(body) == [("image", "a.png", b"1")]


def test_an_empty_form_has_no_parts() -> None:
    assert contents(b"") == contents(b"--x--\r\n") == []


@pytest.mark.parametrize(
    "body",
    [
        b"no boundary",
        b"--x",
        b"--x\r\n",
        b"--x\r\n\r\n\r\n--x--\r\n",
        form((FILE, b"1"), end=b""),
        form((FILE, b"1")).replace(b"\r\n", b"\n"),
        form((FILE, b"1\r\n--xy")),
        form((FILE, b"1\r\n--x" + b" " * 1000)),
        form((b"Content-Type: image/png", b"1")),
        form((FILE + b"\r\nX-A: " + b"a" * MAX_PART_HEADER_BYTES, b"1")),
        form((FILE + b"\r\na:b" * MAX_PART_HEADER_BYTES, b"1")),
    ],
)
def test_a_malformed_form_is_refused(body: bytes) -> None:
    assert code_of(split, body, "x") is ErrorCode.NO_IMAGE


def test_a_missing_boundary_is_named() -> None:
    assert code_of(split, b"--x--", "") is ErrorCode.BAD_REQUEST


@pytest.mark.parametrize("boundary", ["b" * (MAX_BOUNDARY_CHARACTERS + 1), "猫"])
def test_a_boundary_is_bounded(boundary: str) -> None:
    assert code_of(split, b"--" + boundary.encode() + b"--", boundary) is ErrorCode.NO_IMAGE
    assert split(b"--" + b"b" * MAX_BOUNDARY_CHARACTERS + b"--", "b" * MAX_BOUNDARY_CHARACTERS) == []


def test_parts_are_counted() -> None:
    parts = [(FILE, b"")] * MAX_FORM_PARTS
    assert len(split(form(*parts), "x")) == MAX_FORM_PARTS
    assert code_of(split, form(*parts, (FILE, b"")), "x") is ErrorCode.BODY_TOO_LARGE


def test_the_headers_of_all_parts_are_counted() -> None:
    one = (FILE + b"\r\nX-A: " + b"a" * 1000, b"")
    assert len(split(form(*[one] * 200), "x")) == 200
    assert code_of(split, form(*[one] * (MAX_FORM_HEADER_BYTES // 1000)), "x") is ErrorCode.BODY_TOO_LARGE


def test_a_field_is_bounded() -> None:
    assert len(Part("top_k", None, memoryview(b"1" * MAX_FIELD_BYTES)).text()) == MAX_FIELD_BYTES
    assert code_of(Part("top_k", None, memoryview(b"1" * (MAX_FIELD_BYTES + 1))).text) is ErrorCode.BODY_TOO_LARGE


def test_a_field_that_is_not_utf_8_is_read_with_replacements() -> None:
    assert Part("labels", None, memoryview(b"z\xffh")).text() == "z\ufffdh"
