"""Errors as a client receives them."""

from worker.contract.errors import ErrorCode, ServiceError, internal_error

ERROR = ServiceError(ErrorCode.NO_IMAGE, "found no image")


def test_a_body_names_code_message_and_request() -> None:
    named = {"code": "no_image", "message": "found no image"}
    assert ERROR.body("r1") == {"error": named | {"request_id": "r1"}}
    assert ERROR.body() == {"error": named}


def test_the_inference_protocol_has_the_message_as_its_error() -> None:
    assert ERROR.protocol_body("r1") == {"error": "found no image", "code": "no_image", "request_id": "r1"}


def test_half_a_surrogate_pair_in_a_message_is_shown_and_can_be_sent() -> None:
    assert ServiceError(ErrorCode.BAD_REQUEST, "found \ud800, 猫").message == "found \\ud800, 猫"


def test_what_nobody_foresaw_is_internal() -> None:
    assert internal_error().code is ErrorCode.INTERNAL
