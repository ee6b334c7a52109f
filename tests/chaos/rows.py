"""The rows of the table: each disturbs a service under load, and says what clients saw."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.chaos import changes, crowds
from tests.chaos.outcome import SLOWEST, Outcome, observed, quantile, repeated
from tests.chaos.place import LABEL, Place
from tests.cluster.load import open_load
from tests.local.gateway_harness import PROCESSES, Gateway
from tests.processes import children
from tests.wait import until


def worker(number: signal.Signals, place: Place, times: int) -> Outcome:
    """Kill the process of a worker that answers, or freeze it until gunicorn kills it."""

    def disturb(place: Place, turn: int) -> None:
        pid = place.inner_pid(place.workers[turn % 2])
        os.kill(pid, number)
        until("it is replaced", lambda: not Path(f"/proc/{pid}").exists())
        until("the new one is ready", lambda: place.is_ready(place.workers[turn % 2]))

    return repeated(place, times, disturb)


def all_down(place: Place, times: int) -> Outcome:
    """Kill all workers; what is answered meanwhile is 503 with Retry-After."""

    def disturb(place: Place, _: int) -> None:
        masters = [place.pid(name) for name in place.workers]
        with place.held():  # or they would be back before everybody has seen that none is in
            for pid in [*masters, *(child for master in masters for child in children(master))]:
                os.kill(pid, signal.SIGKILL)
            until("none is in", lambda: place.workers_in() == set())
        until("they are ready", lambda: all(map(place.is_ready, place.workers)))

    outcome = repeated(place, times, disturb)
    outcome.allowed = 1.0
    assert set(outcome.lost) <= {"503"}, outcome.lost
    return outcome


def gate_signal(number: signal.Signals, place: Place, times: int) -> Outcome:
    """Kill the gate, or freeze it until its watcher kills it."""

    def disturb(place: Place, _: int) -> None:
        pid = place.signal("gate", number)
        until("there is another gate", lambda: place.pid("gate") not in (0, pid))

    return repeated(place, times, disturb)


def gate_disk(place: Place, times: int) -> Outcome:
    """Let the gate write no file, as on a full disk, until its status is refused; then let it again."""

    def disturb(place: Place, _: int) -> None:
        pid = place.pid("gate")
        limit_files(pid, "0")
        try:
            until("the old status is refused", lambda: place.get("/status")[0] == 503)
        finally:
            limit_files(pid, "unlimited")
        assert place.pid("gate") == pid

    return repeated(place, times, disturb)


def limit_files(pid: int, size: str) -> None:
    """Limit the size of the files that the process can write, under its account: root would need a capability."""
    owner = Path(f"/proc/{pid}").stat()
    as_owner = ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"]
    prefix = as_owner if os.geteuid() == 0 else []
    subprocess.run([*prefix, "prlimit", f"--pid={pid}", f"--fsize={size}:unlimited"], check=True)


def gate_members(place: Place, times: int) -> Outcome:
    """Give the gate members that it cannot use, and the good ones again."""
    file = place.service.run_dir / "gateway/rendered/members.json"
    log = place.service.run_dir / "logs/gate.log"

    def disturb(place: Place, turn: int) -> None:
        good, refused = file.read_text(), log.read_text().count("members_refused")
        file.write_text(f'{{"pools": [{turn}]}}')
        try:
            until("they are refused", lambda: log.read_text().count("members_refused") > refused)
        finally:
            file.write_text(good)

    return repeated(place, times, disturb)


def reloads(place: Place, times: int) -> Outcome:
    """Have Nginx reload; old processes must not stay."""
    nginx = place.pid("nginx")

    def disturb(place: Place, _: int) -> None:
        before = set(children(nginx))
        os.kill(nginx, signal.SIGHUP)
        until("there are new processes", lambda: len(set(children(nginx)) - before) >= PROCESSES)

    outcome = repeated(place, times, disturb)
    until("the old processes are gone", lambda: len(children(nginx)) == PROCESSES)
    outcome.note("Nginx's processes", len(children(nginx)))
    return outcome


def leak(place: Place, times: int) -> Outcome:
    """Load the service for `times` seconds after as many; note what its processes hold more."""
    with observed(place) as outcome:
        time.sleep(times)
        before = place.holds()
        time.sleep(times)
        after = place.holds()
    for position, unit in ((0, "more kB"), (1, "more open files")):
        outcome.figures[unit] = sum(after[name][position] - held[position] for name, held in before.items())
    return outcome


def black_hole(answer: str, place: Place, times: int) -> Outcome:
    """Let one of two scripted workers answer `answer` at once for five `times` seconds; at most 1% may fail."""
    del place  # real workers do not answer so
    with tempfile.TemporaryDirectory(prefix="wanwu-chaos-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - Nginx's processes must be able to enter
        home = Path(folder)
        (home / "image").write_bytes(b"\x89PNG not really")
        with Gateway(home, {LABEL: [f"{LABEL}-0", f"{LABEL}-1"]}) as gateway:
            gateway.start()
            for one in gateway.workers.values():
                one.set(seconds=0.05)
            with open_load("127.0.0.1", gateway.port, home / "image", 40.0, LABEL) as load:
                until("requests are answered", lambda: len(load.sent) > 40)
                gateway.workers[f"{LABEL}-0"].set(answer=answer)
                time.sleep(5 * times)
    return Outcome(load.sent, {"p99, s": quantile(load.sent, SLOWEST)}, allowed=0.01)


Row = Callable[[Place, int], Outcome]
ROWS: dict[str, tuple[Row, int]] = {  # and how often unless the command says so
    "rollout": (changes.rollout, 1),
    "swap": (changes.swap, 1),
    "change": (changes.change, 1),
    "kill": (partial(worker, signal.SIGKILL), 1),
    "freeze": (partial(worker, signal.SIGSTOP), 1),
    "all-down": (all_down, 1),
    "hole-503": (partial(black_hole, "unready"), 1),
    "hole-500": (partial(black_hole, "fail"), 1),
    "hole-length": (partial(black_hole, "short"), 1),
    "gate-kill": (partial(gate_signal, signal.SIGKILL), 1),
    "gate-freeze": (partial(gate_signal, signal.SIGSTOP), 1),
    "gate-disk": (gate_disk, 1),
    "gate-members": (gate_members, 1),
    "reloads": (reloads, 2),
    "slow-clients": (crowds.slow_clients, 1),
    "uploads": (crowds.uploads, 4),
    "overload": (crowds.overload, 2),
    "leak": (leak, 1),
}
