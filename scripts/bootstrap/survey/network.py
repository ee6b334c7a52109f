"""The swarm's manager, the clock's keeper and the firewall."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.bootstrap.checks import network
from scripts.bootstrap.checks.machine import SWARM_PORTS
from scripts.bootstrap.machine import ask, has, swarm_state, text_of
from scripts.bootstrap.options import Options
from scripts.bootstrap.server import Join

CONNECT_S = 5
STANDARD_INPUT = "-"


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
    keepers = [name for name in network.CLOCK_KEEPERS if name in running]
    yield network.clock_note(keepers, ask("timedatectl", "show", "--property=NTPSynchronized", "--value"))
    wanted = (*SWARM_PORTS, ("tcp", port))
    ufw = network.ufw_closed(ask("ufw", "status"), wanted)
    ports = ask("firewall-cmd", "--list-ports")
    firewalld = network.firewalld_closed(ask("firewall-cmd", "--state"), ports, wanted)
    yield network.firewall_note("ufw", ufw) or network.firewall_note("firewalld", firewalld)
    if not ufw and not firewalld and has("iptables"):
        yield network.firewall_note("iptables", network.iptables_closed(ask("iptables", "-S", "INPUT"), wanted))


def _read(name: str) -> str:
    try:
        return sys.stdin.read() if name == STANDARD_INPUT else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise CommandError(f"--join-file: found no {name} that can be read ({error}), needed TOKEN@ADDRESS") from None
