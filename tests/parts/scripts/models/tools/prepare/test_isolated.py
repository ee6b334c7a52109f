"""Isolated processes: pinned, silent, and with errors of one line."""

import os
import signal
import time

import pytest

from scripts.models.tools.prepare.isolated import IsolatedProcess, Placement, ProcessFailed, all_cpus, run_isolated
from worker.contract.toml_reader import ModelError

TIMEOUT_S = 60.0
ONE = Placement(all_cpus().cpus[-1:], "GPU-1")


def environment() -> tuple[set[int], str, str]:
    return os.sched_getaffinity(0), os.environ["OMP_NUM_THREADS"], os.environ["CUDA_VISIBLE_DEVICES"]


def fail(kind: type[Exception], message: str) -> None:
    raise kind(message)


def end(signum: int) -> None:
    os.kill(os.getpid(), signum)


def print_to_both() -> int:
    return os.write(1, b"out") + os.write(2, b"err")


def test_a_process_is_pinned_before_anything_else() -> None:
    assert run_isolated(ONE, TIMEOUT_S, environment) == (set(ONE.cpus), "1", "GPU-1")


def test_output_of_a_library_is_discarded(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_isolated(ONE, TIMEOUT_S, print_to_both) == 6
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (fail, (ValueError, "two\n  lines"), "ValueError: two lines"),
        (fail, (ValueError, "long " * 100), "ValueError: " + ("long " * 100)[:160]),
        (fail, (ModelError, "found this, needed that"), "found this, needed that"),
        (end, (signal.SIGSEGV,), "killed by signal SIGSEGV; is there enough memory?"),
        (os._exit, (7,), "ended with status 7"),
    ],
)
def test_a_failure_is_explained_in_one_line(function: object, arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ProcessFailed) as failure:
        run_isolated(ONE, TIMEOUT_S, function, *arguments)  # type: ignore[arg-type]
    assert str(failure.value) == message


def test_a_process_that_hangs_is_killed() -> None:
    with (
        IsolatedProcess(ONE, time.sleep, 600) as process,
        pytest.raises(ProcessFailed, match=r"^no result within 0 s$"),
    ):
        process.result(0.3)
    assert not process._process.is_alive()
