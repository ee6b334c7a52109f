"""The limits, and which values they allow."""

import pytest

from tests.limits import MAX_BODY_BYTES
from worker.contract.limits import LIMITS, Limit, queue_fault

LIMIT = Limit(3, 1, 9, "images")


@pytest.mark.parametrize("value", [1, 3, 9])
def test_a_value_within_the_bounds_is_allowed(value: int) -> None:
    assert LIMIT.allows(value)


@pytest.mark.parametrize("value", [0, 10, True, 2.0, "2", None])
def test_a_value_outside_the_bounds_is_refused(value: object) -> None:
    assert not LIMIT.allows(value)


def test_a_limit_describes_its_bounds() -> None:
    assert LIMIT.needed == "a whole number from 1 to 9 (images)"


@pytest.mark.parametrize("name", LIMITS)
def test_every_default_is_within_its_bounds(name: str) -> None:
    assert LIMITS[name].allows(LIMITS[name].default)


def test_the_largest_body_is_32_megabytes() -> None:
    assert MAX_BODY_BYTES == 33_554_432


def test_a_request_of_max_images_fits_into_the_queue() -> None:
    assert queue_fault({name: limit.default for name, limit in LIMITS.items()}) is None
    assert queue_fault({"max_images": 9, "queue": 8}) == (
        "found 9, needed at most 8, the queue: lower max_images or raise queue"
    )
    assert queue_fault({"max_images": 9}) is None
