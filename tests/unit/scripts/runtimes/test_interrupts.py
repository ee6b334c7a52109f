"""Signals during a change that can be undone."""

import io
import os
import signal
from collections.abc import Iterator

import pytest

from scripts.runtimes import interrupts

NUMBERS = pytest.mark.parametrize("number", interrupts.SIGNALS, ids=lambda number: number.name)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Set handlers, which each test must leave as they are."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in interrupts.SIGNALS}
    yield
    assert {signal.signal(number, before[number]) for number in interrupts.SIGNALS} == {signal.default_int_handler}


class Signalling(io.RawIOBase):
    """A file that sends a signal to this process as it closes."""

    def __init__(self, number: int) -> None:
        self.number = number

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.kill(os.getpid(), self.number)


@NUMBERS
def test_a_signal_interrupts_the_body(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), interrupts.raised():
        os.kill(os.getpid(), number)


@NUMBERS
def test_a_signal_that_python_drops_is_raised_by_the_next_check(number: signal.Signals) -> None:
    with interrupts.raised() as check:
        check()
        Signalling(number)  # goes out of use at once
        with pytest.raises(KeyboardInterrupt):
            check()


@NUMBERS
def test_no_signal_interrupts_what_must_not_be(number: signal.Signals) -> None:
    with interrupts.raised() as check:
        with interrupts.ignored():
            os.kill(os.getpid(), number)
        check()


@NUMBERS
def test_a_signal_that_is_ignored_stays_so(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    with interrupts.raised() as check:
        os.kill(os.getpid(), number)
        check()
    assert signal.signal(number, before) == signal.SIG_IGN
