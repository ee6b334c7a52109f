"""Deferred calls: executed in order and soon."""

import logging
from types import SimpleNamespace

import pytest

from tests.wait import until
from worker.process import deferred as module
from worker.process.deferred import INTERVAL_S, DeferredCalls


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


def test_nothing_wakes_up_until_there_is_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = list[float]()
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=pauses.append))
    deferred, done = DeferredCalls(), list[int]()
    for number in range(3):
        deferred(done.append, number)
        until("it is done", lambda number=number: number in done)  # type: ignore[misc]
    assert set(pauses) == {INTERVAL_S}
    assert len(pauses) <= 3


def test_a_failed_call_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    deferred, done = DeferredCalls(), list[str]()
    deferred(int, "no number")
    deferred(done.append, "next")
    with caplog.at_level(logging.ERROR):
        deferred.run_all()
    assert done == ["next"]
    assert "no number" in caplog.text
