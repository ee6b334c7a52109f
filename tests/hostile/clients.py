"""Clients that misbehave: slow ones, ones that hang up or do not read, and floods of dear but valid requests."""

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from tests import images
from tests.hostile import LATE, SERVED, Case, bodies, webp

BUSY = 429
HELD_S, STEP_S = 3.0, 0.1
HEAD = "POST {} HTTP/1.1\r\nHost: x\r\nContent-Type: image/webp\r\nContent-Length: {}\r\n\r\n"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no seconds: closing sends a reset
Act = Callable[[int], None]


def photograph() -> bytes:
    return images.encoded(images.photo((1_600, 1_200)), "JPEG")


def opened(stack: ExitStack, port: int, count: int) -> list[socket.socket]:
    return [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60)) for _ in range(count)]


def drip(port: int, start: bytes, count: int) -> None:
    """Send `start` and then a byte at a time on `count` connections, and leave them unfinished."""
    with ExitStack() as stack:
        connections = opened(stack, port, count)
        for connection in connections:
            connection.sendall(start)
        for _ in range(int(HELD_S / STEP_S)):
            threading.Event().wait(STEP_S)
            for connection in connections:
                connection.sendall(b"a")


def hang_up(port: int, body: bytes, share: float, count: int, reset: bool = False) -> None:
    """Send a `share` of a request on each of `count` connections, and close them without reading."""
    request = HEAD.format("/predict", len(body)).encode() + body
    with ExitStack() as stack:
        for connection in opened(stack, port, count):
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection.sendall(request[: int(len(request) * share)])
    threading.Event().wait(HELD_S)  # what the gate sees of the workers is up to a second old


def never_read(port: int, count: int) -> None:
    """Send several requests one behind the other on each connection, and read no answer."""
    body = photograph()
    with ExitStack() as stack:
        for connection in opened(stack, port, count):
            connection.sendall((HEAD.format("/predict", len(body)).encode() + body) * 2)
        threading.Event().wait(HELD_S)


def idle(port: int, count: int) -> None:
    with ExitStack() as stack:
        opened(stack, port, count)
        threading.Event().wait(HELD_S)


# What each does to the gateway at a port; none of them waits for an answer.
ACTS: dict[str, Act] = {
    "64 bodies of a byte at a time": lambda port: drip(port, HEAD.format("/predict", 1_000_000).encode(), 64),
    "64 headers of a byte at a time": lambda port: drip(port, b"POST /predict HTTP/1.1\r\nX: ", 64),
    "200 idle connections": partial(idle, count=200),
    "40 hang up after their request": lambda port: hang_up(port, photograph(), 1, 40),
    "40 hang up within their request": lambda port: hang_up(port, photograph(), 0.5, 40),
    "40 reset after their request": lambda port: hang_up(port, photograph(), 1, 40, reset=True),
    "8 hang up after 64 megapixels": lambda port: hang_up(port, webp.riff(webp.lossless(8_000, 8_000)), 1, 8),
    "20 never read their answers": partial(never_read, count=20),
}
ORDINARY_OR_BUSY = frozenset({SERVED, BUSY, LATE})
FLOODS = (
    Case("24 heat maps at once", photograph, ORDINARY_OR_BUSY, "/predict?heat_map=true", at_once=24),
    Case("32 photographs in a request, 4 at once", partial(bodies.many, photograph, 32), ORDINARY_OR_BUSY,
         headers=bodies.FORM, at_once=4),
)  # fmt: skip
LABELS = tuple(
    Case(f"256 labels of {length} letters, {count} at once", partial(bodies.labelled, length),
         frozenset({SERVED, BUSY, LATE}), "/models/clip", bodies.JSON, count)
    for length, count in ((10, 1), (200, 16))
)  # fmt: skip
