"""Nginx's limits for all clients and for each: the "gateway" object of members.json, as directives. Pure.

Bodies count by their class, for Nginx has counters but no sums: of each class so many may be there at once that, all of
the largest size, they fill its part of `bodies_mb`. nginx.conf tells the class ($body_class) from Content-Length.
"""

from dataclasses import dataclass

from .kinds import whole

MEBIBYTE = 1 << 20
# By class: the most bytes of one body (None: as many as a request may have), and its part of all, in eighths. Those of
# the first two stay in memory (client_body_buffer_size), the others are written into tmp/.
CLASSES: dict[str, tuple[int | None, int]] = {
    "tiny": (10**5, 1),
    "small": (10**6, 2),
    "medium": (10**7, 3),
    "large": (None, 2),
}
BODIES_PER_MB = 64  # bodies_mb, unless it is given, in sizes of the largest request
CLIENT_PART = 7 / 8  # a client's part of all, unless it is given


@dataclass(frozen=True)
class Clients:
    """What one client may do: requests at once, and a second with a burst beyond, and mebibytes; 0: no limit."""

    connections: int = whole(0, 256)
    requests_s: int = whole(0, 0)
    burst: int = whole(0, 100)
    bodies_mb: int | None = whole(0, None)  # None: CLIENT_PART of all


def render_limits(max_body_mb: int, bodies_mb: int | None, clients: Clients) -> list[str]:
    """Return the lines that limit bodies, requests and connections."""
    everyone = bodies_mb or BODIES_PER_MB * max_body_mb
    one = int(everyone * CLIENT_PART) if clients.bodies_mb is None else clients.bodies_mb
    lines = [""]
    for name, most in _counts(everyone, max_body_mb).items():
        lines.append(f"limit_conn {name}_bodies {most};")
    for name, most in _counts(one, max_body_mb).items() if one else ():
        lines.append(f"limit_conn client_{name}_bodies {most};")
    if clients.connections:
        lines.append(f"limit_conn client_connections {clients.connections};")
    if clients.requests_s:
        lines.append(f"limit_req_zone $worker_client zone=client_requests:10m rate={clients.requests_s}r/s;")
        burst = f" burst={clients.burst} nodelay" if clients.burst else ""  # Nginx refuses a burst of 0
        lines.append(f"limit_req zone=client_requests{burst};")
    return lines


def _counts(mebibytes: int, max_body_mb: int) -> dict[str, int]:
    """Return how many bodies of each class `mebibytes` hold: at least one."""
    largest = max_body_mb * MEBIBYTE
    return {
        name: max(1, mebibytes * MEBIBYTE * eighths // 8 // min(size or largest, largest))
        for name, (size, eighths) in CLASSES.items()
    }
