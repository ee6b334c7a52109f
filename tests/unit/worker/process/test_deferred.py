"""Deferred calls: executed in order and soon."""

import logging

import pytest

from tests.wait import until
from worker.process.deferred import DeferredCalls


def test_run_all_executes_calls_in_order() -> None:
    deferred, done = DeferredCalls(), list[int]()
    for number in range(100):
        deferred(done.append, number)
    deferred.run_all()
    assert done == list(range(100))


def test_calls_are_executed_soon_by_themselves() -> None:
    deferred, done = DeferredCalls(), list[str]()
    deferred(done.append, "soon")
    until("it is done", lambda: done == ["soon"])


def test_a_failed_call_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    deferred, done = DeferredCalls(), list[str]()
    deferred(int, "no number")
    deferred(done.append, "next")
    with caplog.at_level(logging.ERROR):
        deferred.run_all()
    assert done == ["next"]
    assert "no number" in caplog.text
