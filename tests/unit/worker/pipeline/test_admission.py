"""Admission and the deadline."""

import threading
from collections import Counter
from contextlib import ExitStack, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.errors import code_of
from worker.contract.errors import ErrorCode, ServiceError
from worker.contract.limits import Share
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


@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from(Share)), max_size=30), st.integers(1, 512))
def test_no_kind_holds_more_than_its_share_and_the_rest_is_always_free(
    requests: list[tuple[int, Share]], queue: int
) -> None:
    admission, held = Admission(queue), Counter[Share]()
    with ExitStack() as inside:
        for images, share in requests:
            try:
                places = inside.enter_context(admission.admit(images, share))
            except ServiceError:
                continue
            held[share] += places
            assert places == min(images, share.places(queue))
            assert held[share] <= share.places(queue)
        assert admission.in_flight == held.total() <= queue
    assert admission.in_flight == 0


def test_requests_of_all_other_kinds_leave_places_to_ordinary_ones() -> None:
    admission = Admission(64)
    with ExitStack() as inside:
        for share in (Share.MANY_IMAGES, Share.HEAT_MAPS, Share.LABELS):
            for _ in range(64):
                with suppress(ServiceError):
                    inside.enter_context(admission.admit(1, share))
            assert code_of(admission.admit(1, share).__enter__) is ErrorCode.QUEUE_FULL
        assert admission.in_flight == 40
        for _ in range(24):
            inside.enter_context(admission.admit(1))
        assert code_of(admission.admit(1).__enter__) is ErrorCode.QUEUE_FULL


@pytest.mark.parametrize("share", Share)
def test_the_smallest_queue_has_a_place_for_every_kind(share: Share) -> None:
    with Admission(1).admit(8, share) as places:
        assert places == 1


def test_a_deadline_returns_the_seconds_left() -> None:
    assert 0 < Deadline(60).left() <= 60


def test_a_passed_deadline_is_raised() -> None:
    assert code_of(Deadline(0).left) is ErrorCode.DEADLINE
    assert code_of(Deadline(0).checked) is ErrorCode.DEADLINE


def test_the_seconds_left_of_a_client_that_has_gone_are_not_returned() -> None:
    assert 0 < Deadline(60).checked() <= 60
    deadline = Deadline(60, gone=lambda: True)

    def again_and_again() -> None:
        while deadline.checked():  # it looks for the client now and then
            pass

    assert code_of(again_and_again) is ErrorCode.CLIENT_GONE


def test_a_wait_ends_when_what_is_waited_for_is_ready() -> None:
    ready = threading.Event()
    ready.set()
    Deadline(60, gone=lambda: True).wait(ready.wait)


def test_a_wait_ends_at_the_deadline() -> None:
    assert code_of(Deadline(0.01).wait, threading.Event().wait) is ErrorCode.DEADLINE


def test_a_wait_ends_when_the_client_has_gone() -> None:
    assert code_of(Deadline(60, gone=lambda: True).wait, threading.Event().wait) is ErrorCode.CLIENT_GONE


def test_a_short_request_never_looks_at_its_client() -> None:
    looked = threading.Event()

    def gone() -> bool:
        looked.set()
        return True

    Deadline(60, gone).check()
    assert not looked.is_set()
