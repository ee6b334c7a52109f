"""Run a function in its own pinned process, so that a library's crash or side effects stay there."""

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from worker.contract.toml_reader import ModelError
from worker.process.slot import THREAD_VARIABLES

Result = TypeVar("Result")
SPAWN = multiprocessing.get_context("spawn")  # a fork would inherit threads and CPU masks already read
EXIT_TIMEOUT_S = 5.0  # for a library to clean up after the result was sent
MAX_MESSAGE = 160  # characters of a library's error message


class ProcessFailed(Exception):
    """The process raised, crashed or took too long; one line says why."""


@dataclass(frozen=True)
class Placement:
    """Where a process runs: its CPUs, and the UUID of the only GPU it sees, "" for none."""

    cpus: tuple[int, ...]
    gpu: str = ""


def all_cpus() -> Placement:
    """Return all CPUs that this process may use, without a GPU."""
    return Placement(tuple(sorted(os.sched_getaffinity(0))))


class IsolatedProcess:
    """A process that runs `function(*arguments)` at `placement`; leaving its context kills it."""

    def __init__(self, placement: Placement, function: Callable[..., Any], *arguments: Any) -> None:
        self._results, results = SPAWN.Pipe(duplex=False)
        self._process = SPAWN.Process(target=_run, args=(results, placement, function, arguments), daemon=True)
        self._process.start()
        results.close()

    def __enter__(self) -> "IsolatedProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def result(self, timeout_s: float) -> Any:
        """Return the function's result. Raise ProcessFailed if it raised, crashed, or exceeded `timeout_s` seconds."""
        try:
            if not self._results.poll(timeout_s):
                raise ProcessFailed(f"no result within {timeout_s:.0f} s")
            succeeded, result = self._results.recv()
        except EOFError:
            self._process.join()
            raise ProcessFailed(_exit_message(self._process.exitcode or 0)) from None
        self._process.join(EXIT_TIMEOUT_S)
        if not succeeded:
            raise ProcessFailed(result)
        return result


def run_isolated(placement: Placement, timeout_s: float, function: Callable[..., Result], *arguments: Any) -> Result:
    """Return the result of `function(*arguments)`, run at `placement`. Raise ProcessFailed if there is none."""
    with IsolatedProcess(placement, function, *arguments) as process:
        result: Result = process.result(timeout_s)
    return result


def _exit_message(status: int) -> str:
    if status < 0:
        return f"killed by signal {signal.Signals(-status).name}; is there enough memory?"
    return f"ended with status {status}"


def _run(results: Connection, placement: Placement, function: Callable[..., Any], arguments: Iterable[Any]) -> None:
    _set_up(placement)
    try:
        results.send((True, function(*arguments)))
    except ModelError as error:
        results.send((False, str(error)))
    except Exception as error:  # any exception of a library becomes the result
        message = " ".join(str(error).split())[:MAX_MESSAGE]
        results.send((False, f"{type(error).__name__}: {message}"))


def _set_up(placement: Placement) -> None:
    """Pin this process before it imports an engine, silence the libraries, and make it exit with its parent."""
    os.sched_setaffinity(0, placement.cpus)
    os.environ |= {name: str(len(placement.cpus)) for name in THREAD_VARIABLES}
    os.environ["CUDA_VISIBLE_DEVICES"] = placement.gpu
    warnings.simplefilter("ignore")
    null = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(null, descriptor)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        wait([parent.sentinel])
    os._exit(1)
