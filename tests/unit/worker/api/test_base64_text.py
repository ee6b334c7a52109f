"""base64 as clients write it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.errors import code_of
from worker.api.base64_text import decode_base64, first_bytes
from worker.contract.errors import ErrorCode

DATA = bytes(range(256))
TEXT = base64.b64encode(DATA).decode()
WRITTEN = {
    "Python's encodebytes": base64.encodebytes(DATA).decode(),
    "Java's MIME encoder": TEXT[:76] + "\r\n" + TEXT[76:] + "\r\n",
    "URL-safe": base64.urlsafe_b64encode(DATA).decode(),
    "URL-safe without padding": base64.urlsafe_b64encode(DATA).decode().rstrip("="),
    "without padding": TEXT.rstrip("="),
    "with too little padding": TEXT[:-1],
    "blanks and tabs": f" \t{TEXT[:9]} {TEXT[9:]}\v\f ",
    "a data URL": f"data:image/png;base64,{TEXT}",
    "a data URL with a blank": f"data:image/png;base64, {TEXT}",
    "a data URL with parameters": f"data:image/png;name=a b.png;charset=utf-8;base64,{TEXT}",
    "a data URL without a type": f"data:;base64,{TEXT}",
    "a data URL in capitals": f" DATA:IMAGE/PNG;BASE64 ,{TEXT}",
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_base64_is_decoded_as_clients_write_it(text: str) -> None:
    assert decode_base64(text) == DATA
    assert DATA.startswith(first_bytes(text.encode()))
    assert first_bytes(text.encode())


@given(st.binary(max_size=60), st.integers(1, 20))
def test_any_bytes_survive_any_line_length(data: bytes, length: int) -> None:
    text = base64.urlsafe_b64encode(data).decode().rstrip("=")
    lines = [text[start : start + length] for start in range(0, len(text), length)]
    assert decode_base64("\n".join(lines)) == data


@pytest.mark.parametrize("text", ["猫", "a*k=", "aGkab", "data:image/png,%89PNG", "====", "aGk=aGk=", "a", "aG=k"])
def test_what_is_not_base64_is_refused(text: str) -> None:
    assert code_of(decode_base64, text) is ErrorCode.BAD_REQUEST


def test_other_bytes_hold_nothing() -> None:
    assert first_bytes(b"\x89PNG") == first_bytes(b"a.b.c.d.") == first_bytes(b"") == b""
