"""Ctrl-C and SIGTERM during a change that can be undone."""

import contextlib
import signal
from collections.abc import Callable, Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def raised() -> Iterator[Callable[[], None]]:
    """Let both signals raise KeyboardInterrupt in the body; give it a function that raises one that was lost.

    Python drops an exception that is raised while a file that went out of use closes itself: iobase_finalize().
    """
    received: list[int] = []

    def handle(number: int, _: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    def check() -> None:
        if received:
            raise KeyboardInterrupt

    with _handled_by(handle):
        yield check


@contextlib.contextmanager
def ignored() -> Iterator[None]:
    """Ignore both signals in the body."""
    with _handled_by(signal.SIG_IGN):
        yield


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, object], None] | signal.Handlers) -> Iterator[None]:
    """Have `handler` called in the body, but for signals that whoever started us had us ignore, as `nohup` does."""
    handled = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in handled}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
