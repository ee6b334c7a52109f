"""The swarm to join, and what a server says of its clock and its firewall, which are only looked at."""

import re
from collections.abc import Sequence

from scripts.base.errors import CommandError
from scripts.bootstrap.server import Join

TOKEN = re.compile(r"SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}")
MANAGER_PORT = 2377
CLOCK_KEEPERS = ("chronyd", "ntpd", "ntpsec", "openntpd", "systemd-timesyn")  # as /proc/PID/comm shortens them
Port = tuple[str, int]


def read_join(text: str) -> Join:
    """Return the swarm in the text of a --join-file: TOKEN@ADDRESS, or TOKEN@ADDRESS:PORT."""
    token, at, manager = text.strip().partition("@")
    if not (at and manager and TOKEN.fullmatch(token)):
        raise CommandError(
            "found an invalid join token, needed SWMTKN-1-...@ADDRESS: "
            "run `docker swarm join-token worker` on the first server"
        )
    return Join(token, manager if ":" in manager else f"{manager}:{MANAGER_PORT}")


def clock_note(keepers: Sequence[str], synchronized: str) -> str:
    """Return what to tell about the clock; "" if nothing. `synchronized` is timedatectl's NTPSynchronized, or ""."""
    if synchronized == "yes" or (keepers and synchronized == ""):
        return ""
    if keepers:
        return f"the clock is not synchronized yet, though {keepers[0]} runs: see `timedatectl`"
    return "found no time synchronisation, needed a right clock for Swarm's certificates: install chrony, or watch it"


def ufw_closed(status: str, wanted: Sequence[Port]) -> list[Port]:
    """Return the wanted ports that an active ufw does not let in, from the text of `ufw status`."""
    if not re.match(r"Status: active", status):
        return []
    rules = re.findall(r"^(\S+)(?: \(v6\))? +ALLOW(?: IN)? +", status, re.MULTILINE)
    return [(kind, port) for kind, port in wanted if not {f"{port}/{kind}", str(port), "Anywhere"} & set(rules)]


def firewalld_closed(state: str, ports: str, wanted: Sequence[Port]) -> list[Port]:
    """Return the wanted ports that a running firewalld does not let in, from `--state` and `--list-ports`."""
    if state.strip() != "running":
        return []
    return [(kind, port) for kind, port in wanted if not any(_covers(each, kind, port) for each in ports.split())]


def iptables_closed(rules: str, wanted: Sequence[Port]) -> list[Port]:
    """Return the wanted ports that no rule lets in, from `iptables -S INPUT`; none where the chain lets all in."""
    if not rules or ("-P INPUT ACCEPT" in rules and not re.search(r"^-A INPUT -j (DROP|REJECT)", rules, re.MULTILINE)):
        return []
    accepted = [line for line in rules.splitlines() if line.endswith("-j ACCEPT")]
    return [(kind, port) for kind, port in wanted if not any(_accepts(line, kind, port) for line in accepted)]


def firewall_note(tool: str, closed: Sequence[Port]) -> str:
    """Return what to tell about a firewall; "" if it lets everything in that is needed."""
    if not closed:
        return ""
    listed = ", ".join(f"{port}/{kind}" for kind, port in closed)
    return f"found a firewall ({tool}) that may not let in {listed}, which other servers and clients need: open them"


def _covers(entry: str, kind: str, port: int) -> bool:
    """Return whether an entry like 8080/tcp or 7000-8000/udp covers the port."""
    numbers, _, found = entry.partition("/")
    first, _, last = numbers.partition("-")
    return found == kind and int(first) <= port <= int(last or first)


def _accepts(rule: str, kind: str, port: int) -> bool:
    found = re.search(rf"-p {kind} .*--dports? (\S+)", rule)
    return found is not None and any(
        _covers(f"{each.replace(':', '-')}/{kind}", kind, port) for each in found[1].split(",")
    )
