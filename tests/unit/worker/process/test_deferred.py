"""Calls that no answer waits for."""

import logging

import pytest

from tests.wait import until
from worker.process.deferred import DeferredCalls


def test_calls_are_done_in_their_order_when_flushed() -> None:
    deferred, done = DeferredCalls(), list[int]()
    for number in range(100):
        deferred(done.append, number)
    deferred.flush()
    assert done == list(range(100))


def test_calls_are_done_soon_without_a_flush() -> None:
    deferred, done = DeferredCalls(), list[str]()
    deferred(done.append, "soon")
    until("it is done", lambda: done == ["soon"])


def test_what_fails_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    deferred, done = DeferredCalls(), list[str]()
    deferred(int, "no number")
    deferred(done.append, "next")
    with caplog.at_level(logging.ERROR):
        deferred.flush()
    assert done == ["next"]
    assert "no number" in caplog.text
