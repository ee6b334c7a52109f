"""The swarm's manager, the clock's keeper and the firewall."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.bootstrap.checks import network
from scripts.bootstrap.checks.machine import SWARM_PORTS
from scripts.bootstrap.machine import ask, swarm_state, text_of
from scripts.bootstrap.options import Options
from scripts.bootstrap.server import Join

CONNECT_S = 5
STANDARD_INPUT = "-"
SYNCHRONIZED = "/run/systemd/timesync/synchronized"  # to ask timedatectl would start a service


def find_manager(options: Options) -> Join | None:
    """Return the swarm of --join-file; raise CommandError if its manager cannot be reached."""
    if not options.join_file:
        return None
    join = network.read_join(_read(options.join_file))
    if swarm_state() != "active":
        host, _, port = join.manager.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
        except (OSError, ValueError):
            raise CommandError(
                f"found no manager at {join.manager}, needed the first server's: "
                f"check the address, the network, and that port {port} is open there"
            ) from None
    return join


def notes(port: int) -> Iterator[str]:
    """Yield what the operator should know of the clock and the firewall; this script changes neither."""
    running = {text_of(path).strip() for path in Path("/proc").glob("[0-9]*/comm")}
    yield network.clock_note(running, Path(SYNCHRONIZED).exists())
    state, ports = (ask("firewall-cmd", flag) for flag in ("--state", "--list-ports"))
    wanted = (*SWARM_PORTS, ("tcp", port))
    yield network.firewall_note(ask("ufw", "status"), state, ports, ask("iptables", "-S", "INPUT"), wanted)


def _read(name: str) -> str:
    try:
        return sys.stdin.read() if name == STANDARD_INPUT else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        # Without the file's name, which may be a token by mistake.
        raise CommandError(
            "--join-file: found no such file that can be read, needed one that says TOKEN@ADDRESS, or -, standard input"
        ) from None
