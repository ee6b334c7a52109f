"""Errors as a client receives them."""

import pytest

from worker.contract.errors import ErrorCode, ServiceError, cut, internal_error, quoted
from worker.contract.limits import MAX_MESSAGE_CHARACTERS, MAX_QUOTED_CHARACTERS

ERROR = ServiceError(ErrorCode.NO_IMAGE, "found no image")


def test_a_body_has_the_code_the_message_and_the_request_id() -> None:
    named = {"code": "no_image", "message": "found no image"}
    assert ERROR.body("r1") == {"error": named | {"request_id": "r1"}}
    assert ERROR.body() == {"error": named}


def test_the_inference_protocol_has_the_message_as_its_error() -> None:
    assert ERROR.protocol_body("r1") == {"error": "found no image", "code": "no_image", "request_id": "r1"}


def test_a_lone_surrogate_in_a_message_is_escaped() -> None:
    assert ServiceError(ErrorCode.BAD_REQUEST, "found \ud800, 猫").message == "found \\ud800, 猫"


def test_a_long_message_is_cut() -> None:
    assert len(ServiceError(ErrorCode.BAD_REQUEST, "x" * 10_000).message) == MAX_MESSAGE_CHARACTERS


@pytest.mark.parametrize("value", ["a'b", "猫", 3, 1.5, None, True, [1, "a"], {"a": [1]}])
def test_a_short_value_is_quoted_whole(value: object) -> None:
    assert quoted(value) == repr(value)


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1_000_000,
        "\0" * 1_000_000,
        10**4000,
        ["y" * 1000] * 1000,
        {f"{number}" * 100: ["z"] * 1000 for number in range(1000)},
        [[[[["x" * 199] * 6] * 6] * 6] * 6] * 6,
    ],
    ids=type,
)
def test_a_long_value_is_quoted_in_part(value: object) -> None:
    assert len(quoted(value)) <= MAX_QUOTED_CHARACTERS


def test_a_long_text_is_cut_to_its_start() -> None:
    assert cut("x" * MAX_QUOTED_CHARACTERS) == "x" * MAX_QUOTED_CHARACTERS
    assert cut("x" * (MAX_QUOTED_CHARACTERS + 1)) == "x" * (MAX_QUOTED_CHARACTERS - 3) + "..."


def test_an_unexpected_exception_is_reported_as_internal() -> None:
    assert internal_error().code is ErrorCode.INTERNAL
