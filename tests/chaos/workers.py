"""Disturbances of workers: they die, freeze, hang, or answer with errors."""

import os
import signal
import time
from pathlib import Path

from tests.chaos.gateway import new_gate
from tests.chaos.outcome import Outcome, disturbed, observed
from tests.chaos.place import Place
from tests.local.faulty_worker import REFUSED
from tests.processes import children, frozen
from tests.wait import until

PAUSE_S = 3.0  # in which no probe is answered
HOLE_S = 5.0


def end(number: signal.Signals, place: Place, turn: int) -> None:
    """Kill the process of a worker that answers, or freeze it until gunicorn kills it."""
    worker = _of_turn(place, turn)
    pid = place.inner_pid(worker)
    os.kill(pid, number)
    _await_another(place, worker, pid)


def pause(place: Place, turn: int) -> None:
    """Freeze the process of a worker that answers, for a time after which it goes on."""
    with frozen(place.inner_pid(_of_turn(place, turn))):
        time.sleep(PAUSE_S)


def endless(fault: str, place: Place, turn: int) -> None:
    """Let one inference or decoding never return, until the worker ends itself."""
    worker = _of_turn(place, turn)
    pid = place.inner_pid(worker)
    with place.spoilt(worker, f"{fault} {pid}"):
        _await_another(place, worker, pid)


def refusals(place: Place, turn: int) -> None:
    """Let a worker answer 503 at once for a time, though it says that it is ready."""
    with place.spoilt(_of_turn(place, turn), REFUSED):
        time.sleep(HOLE_S)


def black_hole(fault: str, place: Place, times: int) -> Outcome:
    """Let a worker answer so at once until it is out, and for HOLE_S `times` more; at most 1% may fail."""
    worker = _of_turn(place, 0)
    with observed(place) as outcome:
        with place.spoilt(worker, fault):
            until("it is out", lambda: worker not in place.workers_in())
            time.sleep(HOLE_S * times)
        new_gate(signal.SIGKILL, place, 0)  # which knows of no ejection, that would last
        place.back()
    outcome.allowed = 0.01
    return outcome


def all_down(place: Place, times: int) -> Outcome:
    """Kill all workers; what is answered meanwhile is 503 with Retry-After."""
    outcome = disturbed(place, [("all-down", _kill_all)] * times)
    outcome.allowed = 1.0
    assert set(outcome.lost) <= {"503"}, outcome.lost
    return outcome


def _kill_all(place: Place, turn: int) -> None:
    masters = [place.pid(name) for name in place.workers]
    with place.held():  # or they would be back before everybody has seen that none is in
        for pid in [*masters, *(child for master in masters for child in children(master))]:
            os.kill(pid, signal.SIGKILL)
        until("none is in", lambda: place.workers_in() == set())
    until("they are ready", lambda: all(map(place.is_ready, place.workers)))


def _of_turn(place: Place, turn: int) -> str:
    return place.workers[turn % 2]


def _await_another(place: Place, worker: str, pid: int) -> None:
    until("it is replaced", lambda: not Path(f"/proc/{pid}").exists())
    until("the new one is ready", lambda: place.is_ready(worker))
