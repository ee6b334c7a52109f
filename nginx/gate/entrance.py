"""The entrance: a container of its own that holds the gateway's ports, so that the gateway is replaced without a gap.

It listens, and hands its sockets to every Nginx and every gate that starts; they share its connections. Those that come
while nobody takes any wait, and none is refused. It reads nothing of any client, so it needs no update.
"""

import os
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from .out import log

PATH_VARIABLE = "ENTRANCE"  # environment variable: the entrance's Unix socket; without it, Nginx opens its port itself
BACKLOG = 4096  # connections that wait, of each socket
TIMEOUT_S = 10.0  # until there is an entrance; then the supervisor starts the program again
MAX_SOCKETS = 8


def hold(path: Path, ports: Sequence[int]) -> NoReturn:
    """Listen on `ports` of every address, and hand the sockets to whoever connects to `path`, for ever."""
    listening = [_listen(socket.AF_INET, "0.0.0.0", port) for port in ports]  # noqa: S104 (Docker says to whom)
    if Path("/proc/net/if_inet6").exists():
        listening += [_listen(socket.AF_INET6, "::", port) for port in ports]
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        log("listening", ports=list(ports))
        while True:
            connection, _ = server.accept()
            with connection, suppress(OSError):  # it has ended meanwhile
                socket.send_fds(connection, [b"1"], [each.fileno() for each in listening])


def _listen(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    opened = socket.socket(family)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    opened.bind((host, port))
    opened.listen(BACKLOG)
    # Nginx takes it as it is, and a process of it that waits for a connection does nothing else.
    opened.setblocking(False)
    return opened


def enter(command: list[str], seen: Path) -> NoReturn:
    """Become Nginx, by its `command`, on the entrance's sockets if there is to be one; note in `seen` which it was.

    Raise OSError if there is none.
    """
    if os.environ.get(PATH_VARIABLE):
        numbers = _wait_for_sockets(seen)
        for number in numbers:
            os.set_inheritable(number, True)
        # As after an update of its own program, Nginx takes the sockets with these numbers instead of opening its own,
        # and closes that of another port.
        os.environ["NGINX"] = "".join(f"{number};" for number in numbers)
    os.execvp(command[0], command)  # noqa: S606


def _wait_for_sockets(seen: Path) -> list[int]:
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            seen.write_text(identity())
            return receive()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def receive() -> list[int]:
    """Return the numbers of the sockets that the entrance hands out; raise OSError if there is none."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.connect(os.environ.get(PATH_VARIABLE, ""))
        return socket.recv_fds(connection, 1, MAX_SOCKETS)[1]


def follow(out: Path) -> None:
    """End Nginx if another entrance is there than the one whose sockets it has; its supervisor starts another."""
    folder = out.parent / "tmp"
    with suppress(OSError, ValueError):  # neither is there while one of them starts
        if (folder / "entrance").read_text() != identity():
            pid = int((folder / "nginx.pid").read_text())
            os.kill(pid, signal.SIGTERM)
            log("nginx_ended", pid=pid, reason="the entrance was started again")


def identity() -> str:
    """Return what changes when another entrance starts; raise OSError if there is none."""
    return str(os.stat(os.environ.get(PATH_VARIABLE, "")).st_mtime_ns)
