"""The limits, and what is said of a value beyond them."""

import pytest

from worker.contract.limits import LIMITS, MAX_BODY_BYTES, Limit

LIMIT = Limit(3, 1, 9, "images")


@pytest.mark.parametrize("value", [1, 3, 9])
def test_a_value_within_the_bounds_has_no_fault(value: int) -> None:
    assert LIMIT.fault(value) is None


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (0, "must be 1 to 9 images, found 0"),
        (10, "must be 1 to 9 images, found 10"),
        (True, "must be a whole number of images, found True"),
        (2.0, "must be a whole number of images, found 2.0"),
        ("2", "must be a whole number of images, found '2'"),
        (None, "must be a whole number of images, found None"),
    ],
)
def test_a_fault_says_what_is_needed_and_what_was_found(value: object, fault: str) -> None:
    assert LIMIT.fault(value) == fault


@pytest.mark.parametrize("name", LIMITS)
def test_every_default_is_within_its_bounds(name: str) -> None:
    assert LIMITS[name].fault(LIMITS[name].default) is None


def test_the_largest_body_is_32_megabytes() -> None:
    assert MAX_BODY_BYTES == 33_554_432


def test_a_request_of_the_most_images_fits_into_the_queue() -> None:
    assert LIMITS["max_images"].default <= LIMITS["queue"].default
