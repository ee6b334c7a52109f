"""Admission and the deadline."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.errors import code_of
from worker.contract.errors import ErrorCode, ServiceError
from worker.pipeline.admission import Admission, Deadline


def test_images_are_counted_while_they_are_admitted() -> None:
    admission = Admission(5)
    with admission.admit(2), admission.admit(3):
        assert admission.in_flight == 5
    assert admission.in_flight == 0


def test_one_image_too_many_is_refused_at_once_and_changes_nothing() -> None:
    admission = Admission(5)
    with admission.admit(4):
        assert code_of(admission.admit(2).__enter__) is ErrorCode.QUEUE_FULL
        assert admission.in_flight == 4


def test_a_place_is_free_again_after_a_failure() -> None:
    admission = Admission(1)
    with pytest.raises(ZeroDivisionError), admission.admit(1):
        raise ZeroDivisionError
    assert admission.in_flight == 0


@given(st.lists(st.integers(1, 6), min_size=1, max_size=12))
def test_never_more_images_are_admitted_than_the_capacity(sizes: list[int]) -> None:
    admission = Admission(8)

    def enter(rest: list[int]) -> None:
        assert admission.in_flight <= 8
        if rest:
            try:
                with admission.admit(rest[0]):
                    enter(rest[1:])
            except ServiceError:
                enter(rest[1:])

    enter(sizes)
    assert admission.in_flight == 0


def test_many_threads_never_miscount() -> None:
    admission, barrier = Admission(1000), threading.Barrier(8)

    def visit() -> None:
        barrier.wait()
        for _ in range(200):
            with admission.admit(3):
                pass

    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert admission.in_flight == 0


def test_a_deadline_returns_the_seconds_left() -> None:
    assert 0 < Deadline(60).left() <= 60


def test_a_passed_deadline_is_raised() -> None:
    assert code_of(Deadline(0).left) is ErrorCode.DEADLINE
