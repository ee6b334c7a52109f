"""Compressed bodies: every form that clients send, and their bounds."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import RequestEntityTooLarge

from tests.errors import code_of, error_of
from worker.api.content_coding import coding_of, inflate
from worker.contract.errors import ErrorCode
from worker.contract.limits import FREE_BODY_BYTES, MAX_GZIP_MEMBERS

MOST = 4 << 20


def raw(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def inflated(body: bytes, coding: str) -> bytes:
    return inflate(body, coding, MOST, lambda: None)


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("", ""),
        ("identity", ""),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        (" GZIP ", "gzip"),
        ("deflate", "deflate"),
        ("identity, gzip", "gzip"),
    ],
)
def test_a_coding_is_recognised(header: str, coding: str) -> None:
    assert coding_of(header) == coding


@pytest.mark.parametrize("header", ["br", "zstd", "gzip, gzip", "deflate, br", "compress", "aws-chunked", "x" * 9000])
def test_another_coding_is_refused_by_name(header: str) -> None:
    error = error_of(coding_of, header)
    assert (error.code, error.headers) == (ErrorCode.UNSUPPORTED_ENCODING, {"Accept-Encoding": "gzip, deflate"})
    assert header[:100] in error.message


@given(st.binary(min_size=1, max_size=300_000))
def test_bytes_come_back(data: bytes) -> None:
    assert inflated(gzip.compress(data), "gzip") == data
    assert inflated(zlib.compress(data), "deflate") == inflated(raw(data), "deflate") == data


def test_a_gzip_body_may_have_several_members() -> None:
    assert inflated(gzip.compress(b"one") * MAX_GZIP_MEMBERS, "gzip") == b"one" * MAX_GZIP_MEMBERS
    assert code_of(inflated, gzip.compress(b"") * (MAX_GZIP_MEMBERS + 1), "gzip") is ErrorCode.BAD_REQUEST


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("size", [MOST - 1, MOST])
def test_a_body_of_the_limit_is_inflated(coding: str, size: int) -> None:
    packed = gzip.compress(bytes(size)) if coding == "gzip" else raw(bytes(size))
    assert inflated(packed, coding) == bytes(size)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_beyond_the_limit_is_refused_before_it_is_inflated(coding: str) -> None:
    packed = gzip.compress(bytes(200 << 20), 1) if coding == "gzip" else zlib.compress(bytes(200 << 20), 1)
    with pytest.raises(RequestEntityTooLarge):
        inflated(packed, coding)


@pytest.mark.parametrize(("size", "calls"), [(FREE_BODY_BYTES, 0), (FREE_BODY_BYTES + 1, 1), (MOST, 1)])
def test_memory_is_held_once_for_a_large_body(size: int, calls: int) -> None:
    held: list[None] = []
    inflate(gzip.compress(bytes(size)), "gzip", MOST, lambda: held.append(None))
    assert len(held) == calls


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("body", [b"\x89PNG", b"{}", gzip.compress(b"one")[:-1], gzip.compress(b"one") + b"\0", b"x"])
def test_a_damaged_body_is_refused(coding: str, body: bytes) -> None:
    assert code_of(inflated, body, coding) is ErrorCode.BAD_REQUEST


@pytest.mark.parametrize("packed", [zlib.compress(b"one"), raw(b"one")])
def test_a_deflated_body_ends_where_it_says(packed: bytes) -> None:
    assert code_of(inflated, packed[:-1], "deflate") is ErrorCode.BAD_REQUEST
    assert code_of(inflated, packed + b"one", "deflate") is ErrorCode.BAD_REQUEST
