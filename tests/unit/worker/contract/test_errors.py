"""Errors as a client receives them."""

from worker.contract.errors import ErrorCode, ServiceError, internal_error

ERROR = ServiceError(ErrorCode.NO_IMAGE, "found no image")


def test_a_body_has_the_code_the_message_and_the_request_id() -> None:
    named = {"code": "no_image", "message": "found no image"}
    assert ERROR.body("r1") == {"error": named | {"request_id": "r1"}}
    assert ERROR.body() == {"error": named}


def test_the_inference_protocol_has_the_message_as_its_error() -> None:
    assert ERROR.protocol_body("r1") == {"error": "found no image", "code": "no_image", "request_id": "r1"}


def test_a_lone_surrogate_in_a_message_is_escaped() -> None:
    assert ServiceError(ErrorCode.BAD_REQUEST, "found \ud800, 猫").message == "found \\ud800, 猫"


def test_an_unexpected_exception_is_reported_as_internal() -> None:
    assert internal_error().code is ErrorCode.INTERNAL
