"""A process of its own: pinned, silent, and its end told in one line."""

import os
import signal
import time

import pytest

from scripts.models.tools.prepare.isolated import Failed, IsolatedProcess, Place, everywhere, run_isolated
from worker.contract.fields import ModelError

LIMIT_S = 60.0
ONE = Place(everywhere().cpus[-1:], "GPU-1")


def surroundings() -> tuple[set[int], str, str]:
    return os.sched_getaffinity(0), os.environ["OMP_NUM_THREADS"], os.environ["CUDA_VISIBLE_DEVICES"]


def fail(kind: type[Exception], said: str) -> None:
    raise kind(said)


def end(signum: int) -> None:
    os.kill(os.getpid(), signum)


def chatter() -> int:
    return os.write(1, b"out") + os.write(2, b"err")


def test_a_process_is_pinned_before_anything_else() -> None:
    assert run_isolated(ONE, LIMIT_S, surroundings) == (set(ONE.cpus), "1", "GPU-1")


def test_what_a_library_prints_is_not_seen(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_isolated(ONE, LIMIT_S, chatter) == 6
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("function", "arguments", "said"),
    [
        (fail, (ValueError, "two\n  lines"), "ValueError: two lines"),
        (fail, (ValueError, "long " * 100), "ValueError: " + ("long " * 100)[:160]),
        (fail, (ModelError, "found this, needed that"), "found this, needed that"),
        (end, (signal.SIGSEGV,), "killed by signal SIGSEGV; is there enough memory?"),
        (os._exit, (7,), "ended with status 7"),
    ],
)
def test_a_process_that_fails_says_why_in_one_line(function: object, arguments: tuple[object, ...], said: str) -> None:
    with pytest.raises(Failed) as failure:
        run_isolated(ONE, LIMIT_S, function, *arguments)  # type: ignore[arg-type]
    assert str(failure.value) == said


def test_a_process_that_hangs_is_given_up_and_ended() -> None:
    with IsolatedProcess(ONE, time.sleep, 600) as process, pytest.raises(Failed, match=r"^no result within 0 s$"):
        process.result(0.3)
    assert not process._process.is_alive()
