"""Errors as the contract words them."""

import pytest

from worker.contract import errors
from worker.contract.errors import ServiceError

TABLE = {  # the contract: status, default code, Retry-After
    errors.BadRequest: (400, "bad_request", None),
    errors.BadParameter: (400, "bad_parameter", None),
    errors.UnknownModel: (404, "unknown_model", None),
    errors.UnknownExample: (404, "unknown_example", None),
    errors.BodyTooLarge: (413, "body_too_large", None),
    errors.UnsupportedType: (415, "unsupported_type", None),
    errors.Undecodable: (422, "undecodable", None),
    errors.QueueFull: (429, "queue_full", 1),
    errors.NotReady: (503, "not_ready", 1),
    errors.DeadlinePassed: (504, "deadline", None),
    ServiceError: (500, "internal", None),
}


@pytest.mark.parametrize("kind", TABLE)
def test_every_error_has_the_contracts_status_code_and_retry_after(kind: type[ServiceError]) -> None:
    error = kind("what was wrong")
    assert (error.status, error.code, error.retry_after_s) == TABLE[kind]


def test_every_error_there_is_is_in_the_table() -> None:
    found = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ServiceError)}
    assert found == set(TABLE)


def test_a_body_names_code_message_and_request() -> None:
    error = errors.BadRequest("no image was sent", "no_image")
    wanted = {"code": "no_image", "message": "no image was sent"}
    assert error.body("r1") == {"error": wanted | {"request_id": "r1"}}
    assert error.body() == {"error": wanted}


def test_the_inference_protocol_has_the_message_as_its_error() -> None:
    error = errors.BadRequest("no image was sent", "no_image")
    assert error.protocol_body("r1") == {"error": "no image was sent", "code": "no_image", "request_id": "r1"}


def test_half_a_surrogate_pair_in_a_message_is_shown_and_can_be_sent() -> None:
    assert errors.BadRequest("found \ud800, 猫").message == "found \\ud800, 猫"
