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

from worker.contract.fields import ModelError
from worker.process.slot import THREAD_VARIABLES

Result = TypeVar("Result")
SPAWN = multiprocessing.get_context("spawn")  # a fork would inherit threads and CPU masks already read
ENDING_S = 5.0  # for a library to clean up after the result was sent
LONGEST = 160  # characters of a library's error message


class Failed(Exception):
    """The process raised, crashed or took too long; one line says why."""


@dataclass(frozen=True)
class Place:
    """Where a process runs: its CPUs, and the UUID of the only GPU it sees, "" for none."""

    cpus: tuple[int, ...]
    gpu: str = ""


def everywhere() -> Place:
    """Return all CPUs that this process may use, without a GPU."""
    return Place(tuple(sorted(os.sched_getaffinity(0))))


class IsolatedProcess:
    """A process that runs `function(*arguments)` at `place`; leaving its context kills it."""

    def __init__(self, place: Place, function: Callable[..., Any], *arguments: Any) -> None:
        self._results, results = SPAWN.Pipe(duplex=False)
        self._process = SPAWN.Process(target=_run, args=(results, place, function, arguments), daemon=True)
        self._process.start()
        results.close()

    def __enter__(self) -> "IsolatedProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def result(self, limit_s: float) -> Any:
        """Return the function's result. Raise Failed if it raised, crashed, or took more than `limit_s` seconds."""
        try:
            if not self._results.poll(limit_s):
                raise Failed(f"no result within {limit_s:.0f} s")
            good, result = self._results.recv()
        except EOFError:
            self._process.join()
            raise Failed(_ending(self._process.exitcode or 0)) from None
        self._process.join(ENDING_S)
        if not good:
            raise Failed(result)
        return result


def run_isolated(place: Place, limit_s: float, function: Callable[..., Result], *arguments: Any) -> Result:
    """Return the result of `function(*arguments)`, run in a process at `place`. Raise Failed if there is none."""
    with IsolatedProcess(place, function, *arguments) as process:
        result: Result = process.result(limit_s)
    return result


def _ending(status: int) -> str:
    if status < 0:
        return f"killed by signal {signal.Signals(-status).name}; is there enough memory?"
    return f"ended with status {status}"


def _run(results: Connection, place: Place, function: Callable[..., Any], arguments: Iterable[Any]) -> None:
    _settle(place)
    try:
        results.send((True, function(*arguments)))
    except ModelError as error:
        results.send((False, str(error)))
    except Exception as error:  # any exception of a library becomes the result
        said = " ".join(str(error).split())[:LONGEST]
        results.send((False, f"{type(error).__name__}: {said}"))


def _settle(place: Place) -> None:
    """Pin this process before it imports an engine, silence the libraries, and make it exit with its parent."""
    os.sched_setaffinity(0, place.cpus)
    os.environ |= {name: str(len(place.cpus)) for name in THREAD_VARIABLES}
    os.environ["CUDA_VISIBLE_DEVICES"] = place.gpu
    warnings.simplefilter("ignore")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        wait([parent.sentinel])
    os._exit(1)
