"""Nginx's answers as they happen: it sends the gate a datagram for every request, and an outlier is bypassed at once.

Nginx neither waits for a datagram nor for the gate: if the gate is slow, the kernel drops datagrams.
"""

import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .bypass import bypass_file, bypass_group
from .exchange import Exchange, parse_exchange, reports_full
from .out import log
from .outliers import SUSPICIOUS_STREAK, Record, is_outlier, judged_answers

TRUST_S = 1.0  # after a trial that went well
FULL_GAP_S = 60.0  # between two reports that bodies take all places: nginx.conf's worker_shutdown_timeout
RECEIVE_BUFFER = 1 << 20  # the kernel may grant less


@dataclass(frozen=True)
class Listed:
    """A pool as Nginx has loaded it: its servers' ip:port in their order, and how many more may be ejected."""

    model: str
    addresses: tuple[str, ...]
    ejectable: int


class Answers:
    """Follow the answers of every listed worker, in a thread of its own; `found` is called with an outlier's address.

    `full` is called when requests are refused because other bodies take all places, once in FULL_GAP_S; `count` with
    every request.

    A reload of Nginx takes some hundred milliseconds, in which an outlier fails hundreds of requests: it has the
    fewest connections, and least_conn prefers it. So a file makes Nginx bypass it until the reload is done.
    """

    def __init__(
        self,
        out: Path,
        found: Callable[[str], None],
        full: Callable[[], None],
        count: Callable[[Exchange], None] = lambda _: None,
    ) -> None:
        self._out, self._found, self._full, self._count_exchange = out, found, full, count
        self._next_full_at = 0.0  # on the monotonic clock
        self._tag = secrets.token_hex(16)  # whoever cannot read Nginx's configuration cannot eject a worker
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._socket.bind(("127.0.0.1", 0))
        self._pools: dict[str, Listed] = {}  # by address
        self._records: dict[str, Record] = {}  # by address
        self._trusted_until: dict[str, float] = {}  # by address, on the monotonic clock
        self._outliers: set[str] = set()  # addresses still listed
        self._bypassed: dict[str, Path] = {}  # by model
        self._lock = threading.Lock()
        for left in out.glob(bypass_file("*", "*")):  # by a gate that ended before its reload
            left.unlink()

    @property
    def log_target(self) -> str:
        """Nginx's name for the place that it shall log the answers to."""
        return f"syslog:server=127.0.0.1:{self._socket.getsockname()[1]},nohostname,tag={self._tag}"

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="answers", daemon=True).start()

    def follow(self, pools: Mapping[str, Listed]) -> None:
        """Follow the servers of `pools`, which Nginx has loaded, and forget all others."""
        with self._lock:
            self._pools = {address: pool for pool in pools.values() for address in pool.addresses}
            self._outliers &= set(self._pools)
            self._trusted_until = {address: at for address, at in self._trusted_until.items() if address in self._pools}
            self._records = {address: record for address, record in self._records.items() if address in self._pools}

    def acquit(self, address: str) -> None:
        """Judge the worker at `address` anew, after a while: bad requests alone must not lead to trial after trial."""
        with self._lock:
            self._outliers.discard(address)
            self._records[address] = Record()
            self._trusted_until[address] = time.monotonic() + TRUST_S

    def end_bypasses(self) -> None:
        """Let Nginx use all servers of its list again, in every pool whose list has no outlier any more."""
        with self._lock:
            pending = {self._pools[address].model for address in self._outliers}
            for model in self._bypassed.keys() - pending:
                self._bypassed.pop(model).unlink(missing_ok=True)

    def _run(self) -> None:
        while True:
            datagram = self._socket.recv(65536)
            if reports_full(datagram, self._tag) and time.monotonic() >= self._next_full_at:
                self._next_full_at = time.monotonic() + FULL_GAP_S
                self._full()
            if exchange := parse_exchange(datagram, self._tag):
                self._count_exchange(exchange)
                for address, failed in judged_answers(exchange):
                    with self._lock:
                        self._count(address, failed)

    def _count(self, address: str, failed: bool) -> None:
        pool = self._pools.get(address)
        if pool is None or address in self._outliers or time.monotonic() < self._trusted_until.get(address, 0.0):
            return
        record = self._records[address] = self._records.get(address, Record()).after(failed)
        if record.streak < SUSPICIOUS_STREAK:  # the least of is_outlier, before the pool is looked at
            return
        outliers = self._outliers.intersection(pool.addresses)
        others = [self._records.get(other, Record()) for other in {*pool.addresses} - outliers - {address}]
        if len(outliers) < pool.ejectable and is_outlier(record, others):
            self._outliers.add(address)
            self._bypass(pool, address)
            self._found(address)

    def _bypass(self, pool: Listed, address: str) -> None:
        if pool.model in self._bypassed:  # one group of a pool at a time; a second outlier waits for the reload
            return
        file = self._out / bypass_file(pool.model, bypass_group(pool.addresses.index(address)))
        try:
            file.touch()
        except OSError as error:  # such as a full disk: the reload comes anyway
            log("bypass_failed", fault=str(error), file=str(file))
        else:
            self._bypassed[pool.model] = file
