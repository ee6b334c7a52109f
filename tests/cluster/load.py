"""An open loop: requests leave when they are due, whatever became of those before; none is sent twice.

Only when AT_ONCE are on their way is one waited for: a machine that is busy slows the load, and fills no queue. A
request that its worker gives up at the deadline, in the worker's own words, is LATE there, and not lost.
"""

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from worker.contract.limits import LIMITS
from worker.pipeline.admission import Deadline

AT_ONCE = 48  # less than the queue of one worker: were all of them with that one, it would refuse none
PNG = {"Content-Type": "image/png"}
WRONG, LATE = "wrong", "late"
DEADLINE_S = LIMITS["deadline_s"].maximum  # of the workers that are asked
# Nginx has other words for a worker that never answered.
GIVEN_UP = Deadline(DEADLINE_S).passed().message
PATIENCE_S = 70  # above all that the gateway may take for two tries


@dataclass(frozen=True)
class Sent:
    """One request: when it left and ended (seconds, monotonic), what came of it, and which worker answered."""

    id: str
    left: float
    ended: float
    outcome: str  # a status, WRONG, LATE, or the name of what went wrong
    worker: str


@dataclass
class OpenLoad:
    """All requests so far."""

    sent: list[Sent] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def lost(self) -> list[Sent]:
        return [one for one in self.sent if one.outcome not in ("200", LATE)]

    def workers(self, since: float = 0.0) -> Counter[str]:
        """Who answered how many of the requests that left after `since`."""
        return Counter(one.worker for one in self.sent if one.left >= since and one.worker)

    def add(self, one: Sent) -> None:
        with self.lock:
            self.sent.append(one)


@contextmanager
def open_load(
    address: str,
    port: int,
    image: Path,
    rate: float,
    label: str | None = None,
    at_once: int = AT_ONCE,
    others: Sequence[str] = (),
) -> Iterator[OpenLoad]:
    """Post `image` at most `rate` times a second until the block ends; then wait for what is on its way.

    At most `at_once` are. With a `label`, an answer whose best class is another one is WRONG. Where nothing takes a
    connection at `address`, `others` are tried, as every client does with a name that has several addresses.
    """
    load, stop, threads, numbers = OpenLoad(), threading.Event(), list[threading.Thread](), itertools.count()
    room = threading.Semaphore(at_once)
    body, run_id = image.read_bytes(), f"{time.monotonic_ns():x}"

    def post(number: int) -> None:
        with room:
            _post(load, (address, *others), port, body, f"load-{run_id}-{number}", label)

    def send() -> None:
        due = time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())):
            with room:  # there is some now
                threads[:] = [thread for thread in threads if thread.is_alive()]
                threads.append(threading.Thread(target=post, args=(next(numbers),)))
                threads[-1].start()
            due = max(due, time.monotonic()) + 1 / rate

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield load
    finally:
        stop.set()
        sender.join()
        for thread in threads:
            thread.join()


def _connected(addresses: Sequence[str], port: int) -> http.client.HTTPConnection:
    """Return a connection to the first of the addresses where one is taken."""
    *first, last = addresses
    for address in first:
        connection = http.client.HTTPConnection(address, port, timeout=PATIENCE_S)
        with suppress(OSError):
            connection.connect()
            return connection
    return http.client.HTTPConnection(last, port, timeout=PATIENCE_S)


def _post(load: OpenLoad, addresses: Sequence[str], port: int, body: bytes, request_id: str, label: str | None) -> None:
    left, worker = time.monotonic(), ""
    connection = _connected(addresses, port)
    try:
        connection.request("POST", "/predict", body, PNG | {"X-Request-ID": request_id})
        answer = connection.getresponse()
        said = answer.read()
        outcome = str(answer.status)
        document = json.loads(said) if answer.status == 200 else {}
        if answer.status == 504 and json.loads(said)["error"]["message"] == GIVEN_UP:
            outcome = LATE
        worker = document.get("worker", "")
        if document and label is not None and document["predictions"][0]["label_en"] != label:
            outcome = WRONG
    except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
        outcome = type(error).__name__
    finally:
        connection.close()
    load.add(Sent(request_id, left, time.monotonic(), outcome, worker))
