"""What Nginx tells the gate of a request: which workers it tried, and how each of them answered. All pure."""

import re
from dataclasses import dataclass

RETRY = ", "  # between the attempts of one request: on another worker, ...
SEPARATOR = re.compile(f"({RETRY}| : )")  # ... or after a redirect
FIELDS = 8  # of nginx.conf's log_format `answers`
NONE = "-"


@dataclass(frozen=True)
class Attempt:
    """One try: the worker's address or, where none is left, the pool's name; `header_s` is None without an answer."""

    address: str
    status: str
    header_s: float | None
    seconds: float
    length: str
    retried: bool  # on another worker


@dataclass(frozen=True)
class Exchange:
    """A request: its attempts, none if no worker was asked, the bytes that the last promised, and the final status.

    `connections` are Nginx's: active, reading, writing and waiting.
    """

    attempts: tuple[Attempt, ...]
    promised: str
    status: str
    connections: tuple[int, ...]

    @property
    def first_byte_s(self) -> float | None:
        """Return the seconds until the first byte of the last answer, earlier attempts included; None without one."""
        if not self.attempts or self.attempts[-1].header_s is None:
            return None
        return sum(attempt.seconds for attempt in self.attempts[:-1]) + self.attempts[-1].header_s


def parse_exchange(datagram: bytes, tag: str) -> Exchange | None:
    """Return the request that `datagram` reports in syslog's frame with our `tag`; None if it is anything else."""
    _, found, line = datagram.decode(errors="replace").partition(f" {tag}: ")
    fields = line.split("|")
    if not found or len(fields) != FIELDS or not fields[5].isdecimal():
        return None
    connections = tuple(int(count) for count in fields[7].split() if count.isdecimal())
    return Exchange(_attempts(*fields[:4], fields[6]), fields[4], fields[5], connections)


def reports_full(datagram: bytes, tag: str) -> bool:
    """Return whether Nginx refused a request because other bodies take all places: its log format `full`."""
    return datagram.endswith(f" {tag}: full".encode())


def _attempts(addresses: str, *others: str) -> tuple[Attempt, ...]:
    if addresses in ("", NONE):
        return ()
    tried = SEPARATOR.split(addresses)
    separators = [*tried[1::2], ""]
    columns = [SEPARATOR.split(other)[::2] for other in others]
    return tuple(
        Attempt(address, status, _seconds(header), _seconds(seconds) or 0.0, length, separator == RETRY)
        for address, separator, status, header, length, seconds in zip(tried[::2], separators, *columns, strict=False)
    )


def _seconds(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,9}\.[0-9]{3}", text) else None
