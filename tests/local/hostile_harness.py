"""A service under attack: a steady victim client, and what each hostile request does to the workers.

The victim sends one ordinary photograph after the other, each once. Memory is the kernel's own high-water mark; whether
a worker left the rotation is read from the gate's log, and whether it restarted from its process id.
"""

import contextlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Any

from tests.hostile import SERVED, Case
from tests.local.gateway_harness import ROOT, ask
from tests.processes import data, descendants, high_water, private, reset_high_water
from tests.wait import until

TABLE = ROOT / ".pytest_cache/hostile.tsv"
PATIENCE_S = 120  # until a client gives up, and until the service must be whole again after a request
GRACE_S = 1  # after the deadline: a busy machine may pause between the worker's last look at it and its answer
LOOK_S, PAUSE_S = 0.3, 0.3  # between two looks at the memory, and between two requests of the victim
MESSAGE_BYTES = 2_000  # of an error: it quotes a little of the request, however long that is
MEGABYTE = 1_000_000
NOISE_BYTES = 32 * MEGABYTE  # that ordinary requests add and free again


@dataclass(frozen=True)
class Answer:
    """The end of one request, in seconds of the monotonic clock; status 0 if there was no answer."""

    status: int
    started: float
    ended: float
    body: bytes = b""
    fault: str = ""

    @property
    def worker_s(self) -> float:
        """The seconds that the worker says it took; 0 in the answers of protocols that have no place for it."""
        found = json.loads(self.body)
        return found["timing_ms"]["total"] / 1000 if isinstance(found, dict) and "timing_ms" in found else 0.0

    @property
    def code(self) -> str:
        """The error's code, or those of a form's images; "" for an answer without an error."""
        with contextlib.suppress(ValueError, AttributeError):
            found = json.loads(self.body)
            errors = [row for row in found.get("results", [found]) if "error" in row]
            codes = {row["code"] if isinstance(row["error"], str) else row["error"]["code"] for row in errors}
            return ",".join(sorted(codes))
        return ""


@dataclass(frozen=True)
class Target:
    """A running service: its port, the processes that answer by worker name, and the gate's log."""

    port: int
    pids: Callable[[], Mapping[str, int]]
    gate_log: Path
    victim: tuple[str, bytes, Mapping[str, str]]  # path, body and headers of the ordinary request
    deadline_s: float
    memory_bytes: int  # what a worker may hold

    def send(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send one request on a connection of its own."""
        started = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request("POST", path, body, dict(headers))
            reply = connection.getresponse()
            return Answer(reply.status, started, time.monotonic(), reply.read())
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, started, time.monotonic(), fault=f"{type(error).__name__}: {error}")
        finally:
            connection.close()

    def whole(self) -> bool:
        """Return whether every worker is in rotation and has nothing in flight but the victim's requests."""
        try:
            workers = ask(self.port, "GET", "/status").json["workers"]
        except (OSError, ValueError):
            return False
        return all(one["in"] and (one["in_flight"] or 0) <= 1 for one in workers)

    def left(self, since: int) -> list[str]:
        """Return the workers that the gate took out of rotation after the byte `since` of its log."""
        lines = self.gate_log.read_bytes()[since:].splitlines()
        events = [json.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"}")]
        changes = [one for one in events if one["event"] == "worker"]
        return [one["worker"] for one in changes if not one["to"].startswith(("in,", "untested,"))]


@dataclass(frozen=True)
class Row:
    """What one case did; the victim's requests are those that were in flight meanwhile."""

    kind: str
    name: str
    bytes: int
    status: str
    code: str
    seconds: float
    peak_mb: int
    victims: int
    failed: int
    worst_s: float
    p99_s: float
    left: str
    restarted: str
    faults: str

    def line(self) -> str:
        return "\t".join(f"{value:.2f}" if isinstance(value, float) else str(value) for value in astuple(self))


HEADER = "\t".join(one.name for one in fields(Row))


class _Loop(threading.Thread):
    """Something done again and again until it is stopped."""

    def __init__(self, step: Callable[[], object], pause_s: float) -> None:
        super().__init__(daemon=True)
        self.step, self.pause_s, self.stopping = step, pause_s, threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(self.pause_s):
            self.step()

    def stop(self) -> None:
        self.stopping.set()
        self.join()


@dataclass
class Attack:
    """An attack on `target`, which adds a row to the file `table` for each case."""

    target: Target
    table: Path
    victims: list[Answer] = field(default_factory=list)
    peaks: dict[int, int] = field(default_factory=dict)

    def __enter__(self) -> "Attack":
        self.loops = [_Loop(self._ordinary_request, PAUSE_S), _Loop(self._look, LOOK_S)]
        for loop in self.loops:
            loop.start()
        return self

    def __exit__(self, *_: object) -> None:
        for loop in self.loops:
            loop.stop()

    def _ordinary_request(self) -> None:
        self.victims.append(self.target.send(*self.target.victim))

    def _look(self) -> None:
        """Note the memory of each worker: its own high-water mark, and what its children hold for themselves."""
        for pid in self.target.pids().values():
            found = high_water(pid) + sum(map(private, descendants(pid)))
            self.peaks[pid] = max(found, self.peaks.get(pid, 0))

    def all(self, kind: str, cases: Sequence[Case]) -> list[str]:
        """Send every case on its own; return a line for each fault."""
        return [fault for case in cases for fault in self.one(kind, case)]

    def one(self, kind: str, case: Case) -> list[str]:
        """Send one case; return its faults."""
        body = case.body()
        return self.during(
            kind, case, len(body), lambda: self._send(case, body), lambda answers: _refused(case, answers)
        )

    def _send(self, case: Case, body: bytes) -> list[Answer]:
        with ThreadPoolExecutor(case.at_once) as pool:
            futures = [pool.submit(self.target.send, case.path, body, case.headers) for _ in range(case.at_once)]
            return [future.result() for future in futures]

    def during(
        self, kind: str, case: Case, size: int, act: Callable[[], list[Answer]],
        judge: Callable[[list[Answer]], list[str]],
    ) -> list[str]:  # fmt: skip
        """Do `act`, wait until the service is whole again, add a row, and return the faults."""
        until("the service is whole", self.target.whole, PATIENCE_S)
        before, log, started = dict(self.target.pids()), self.target.gate_log.stat().st_size, time.monotonic()
        for pid in before.values():
            reset_high_water(pid)
        resting = max(map(high_water, before.values()))  # malloc may keep what an earlier case took
        self.peaks.clear()
        answers = act()
        ended = time.monotonic()
        until(f"the service is whole after {kind}: {case.name}", self.target.whole, PATIENCE_S)
        self._look()
        after, left = self.target.pids(), sorted(set(self.target.left(log)))
        restarted = [name for name, pid in before.items() if after.get(name) != pid]
        peak = max(self.peaks.values())
        met = [one for one in list(self.victims) if one.ended >= started]
        failed = [f"{one.status} {one.code or one.fault}" for one in met if one.status != SERVED]
        faults = judge(answers) + [f"answered 200 after the deadline, {late:.0f} s" for late in self._late(answers)]
        faults += [f"{name} left the rotation" for name in left] + [f"{name} was restarted" for name in restarted]
        if failed:
            faults.append(f"{len(failed)} of {len(met)} requests of the victim failed: {_counted(failed)}")
        if peak > max(self.target.memory_bytes, resting + NOISE_BYTES):
            limit = self.target.memory_bytes // MEGABYTE
            faults.append(f"a worker held {peak // MEGABYTE} MB, needed at most {limit} MB")
        if (reserved := max(map(data, after.values()), default=0)) > self.target.memory_bytes:
            # The kernel's limit counts what a request left behind, touched or not.
            faults.append(f"a worker kept {reserved // MEGABYTE} MB allocated after it")
        waits = sorted(one.ended - one.started for one in met) or [0.0]
        row = Row(
            kind=kind,
            name=case.name,
            bytes=size,
            status=_counted(str(one.status) for one in answers),
            code=_counted(one.code for one in answers),
            seconds=ended - started,
            peak_mb=peak // MEGABYTE,
            victims=len(met),
            failed=len(failed),
            worst_s=waits[-1],
            p99_s=waits[len(waits) * 99 // 100],
            left=",".join(left),
            restarted=",".join(restarted),
            faults="; ".join(faults),
        )
        with self.table.open("a", encoding="utf-8") as table:
            table.write(f"{row.line()}\n")
        return [f"{case.name}: {fault}" for fault in faults]

    def _late(self, answers: Sequence[Answer]) -> Iterator[float]:
        """Yield the seconds, by the worker's clock, of each answer past the deadline: a client's show the load, too."""
        for one in answers:
            if one.status == SERVED and one.worker_s > self.target.deadline_s + GRACE_S:
                yield one.worker_s


def _refused(case: Case, answers: Sequence[Answer]) -> list[str]:
    needed = " or ".join(map(str, sorted(case.statuses)))
    wrong = [one for one in answers if one.status not in case.statuses]
    faults = [f"found {one.status} {one.code or one.fault}, needed {needed}" for one in wrong[:1]]
    long = [one for one in answers if one.status != SERVED and len(one.body) > MESSAGE_BYTES]
    return faults + [f"an error of {len(one.body)} bytes, needed at most {MESSAGE_BYTES}" for one in long[:1]]


def _counted(values: Any) -> str:
    """Return the distinct values, with how often each occurs if that is more than once."""
    return ", ".join(f"{value} x{times}" if times > 1 else value for value, times in Counter(values).items())
