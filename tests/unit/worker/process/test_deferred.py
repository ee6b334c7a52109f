"""Work that no answer waits for."""

import logging

import pytest

from tests.wait import until
from worker.process.deferred import Later


def test_what_is_noted_is_done_in_its_order_when_asked_for() -> None:
    later, done = Later(), list[int]()
    for number in range(100):
        later(done.append, number)
    later.now()
    assert done == list(range(100))


def test_what_is_noted_is_done_soon_without_being_asked_for() -> None:
    later, done = Later(), list[str]()
    later(done.append, "soon")
    until("it is done", lambda: done == ["soon"])


def test_what_fails_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    later, done = Later(), list[str]()
    later(int, "no number")
    later(done.append, "next")
    with caplog.at_level(logging.ERROR):
        later.now()
    assert done == ["next"]
    assert "no number" in caplog.text
