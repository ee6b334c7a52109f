"""Disturbances of the gateway: its gate dies, freezes, cannot read, write or probe; Nginx reloads."""

import http.client
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.chaos.outcome import Bound, Outcome, disturbed
from tests.chaos.place import Place
from tests.cluster.load import PNG
from tests.local.faulty_worker import NO_PROBE
from tests.local.gateway_harness import PROCESSES
from tests.processes import children
from tests.wait import TIMEOUT_S, until

MORE_KB = 128 << 10  # of all processes: workers may have started just before, and take their memory as they answer


def new_gate(number: signal.Signals, place: Place, turn: int) -> None:
    """Kill the gate, or freeze it until its watcher kills it."""
    pid = place.signal("gate", number)
    until("there is another gate", lambda: place.pid("gate") not in (0, pid))


def full_disk(place: Place, turn: int) -> None:
    """Let the gate write no file, as on a full disk, until its status is refused; then let it again."""
    pid = place.pid("gate")
    limit_files(pid, "0")
    try:
        until("the old status is refused", lambda: place.get("/status")[0] == 503)
    finally:
        limit_files(pid, "unlimited")
    assert place.pid("gate") == pid


def limit_files(pid: int, size: str) -> None:
    """Limit the size of the files that the process can write, under its account: root would need a capability."""
    owner = Path(f"/proc/{pid}").stat()
    as_owner = ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"]
    prefix = as_owner if os.geteuid() == 0 else []
    subprocess.run([*prefix, "prlimit", f"--pid={pid}", f"--fsize={size}:unlimited"], check=True)


def bad_members(place: Place, turn: int) -> None:
    """Give the gate members that it cannot use, and the good ones again."""
    file = place.service.run_dir / "gateway/rendered/members.json"
    log = place.service.run_dir / "logs/gate.log"
    good, refused = file.read_text(), log.read_text().count("members_refused")
    # The gate logs a fault once: each is another one, since it may not have read the good ones between two.
    file.write_text(f'{{"pools": [{{"model": "no name {turn}", "members": []}}]}}')
    try:
        until("they are refused", lambda: log.read_text().count("members_refused") > refused)
    finally:
        file.write_text(good)


def failing_probes(place: Place, turn: int) -> None:
    """Let every probe fail while the workers answer all else, until the gate has none in rotation."""
    with ExitStack() as faults:
        for worker in place.workers:
            faults.enter_context(place.spoilt(worker, NO_PROBE))
        until("none is in", lambda: place.workers_in() == set())


def reload(place: Place, turn: int) -> None:
    """Have Nginx reload."""
    nginx = place.pid("nginx")
    before = set(children(nginx))
    os.kill(nginx, signal.SIGHUP)
    until("there are new processes", lambda: len(set(children(nginx)) - before) >= PROCESSES)


def reloads(place: Place, times: int) -> Outcome:
    """Have Nginx reload while a client keeps its connection, too; old processes must not stay.

    A process that ends closes the connection; the next one may be to a process that ends as well.
    """
    nginx, before = place.pid("nginx"), place.memory()
    with _kept_connection(place) as broken:
        outcome = disturbed(place, [("reload", reload)] * times)
    until("the old processes are gone", lambda: len(children(nginx)) == PROCESSES)
    outcome.figures |= {"resets": len(broken), "more kB": place.memory() - before}
    outcome.bounds = {"resets": Bound(most=2 * times), "more kB": Bound(most=MORE_KB)}
    return outcome


@contextmanager
def _kept_connection(place: Place) -> Iterator[list[str]]:
    """Send requests over a connection that is kept, until the block ends; the list says how it broke each time.

    They do not keep step with the load: each of the two would always get the same worker.
    """
    broken, over = list[str](), threading.Event()
    connection = http.client.HTTPConnection("127.0.0.1", place.service.port, timeout=TIMEOUT_S)
    body = place.image.read_bytes()

    def client() -> None:
        while not over.wait(0.7 / place.rate):
            try:
                connection.request("POST", "/predict", body, PNG)
                connection.getresponse().read()
            except (OSError, http.client.HTTPException) as error:
                broken.append(type(error).__name__)
                connection.close()

    thread = threading.Thread(target=client)
    thread.start()
    try:
        yield broken
    finally:
        over.set()
        thread.join()
        connection.close()
