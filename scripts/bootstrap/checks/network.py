"""The swarm to join, and what a server says of its clock and its firewall, which are only looked at."""

import re
from collections.abc import Callable, Collection, Sequence

from scripts.base.errors import CommandError
from scripts.bootstrap.server import Join

TOKEN = re.compile(r"SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}")
MANAGER_PORT = 2377
TIMESYNCD = "systemd-timesyn"  # as /proc/PID/comm shortens it
CLOCK_KEEPERS = ("chronyd", "ntpd", "ntpsec", "openntpd", TIMESYNCD)
Port = tuple[str, int]
IsOpen = Callable[[str, int], bool]


def read_join(text: str) -> Join:
    """Return the swarm in the text of a --join-file: TOKEN@ADDRESS, or TOKEN@ADDRESS:PORT."""
    token, at, manager = text.strip().partition("@")
    if not (at and manager and TOKEN.fullmatch(token)):
        raise CommandError(
            "found an invalid join token, needed SWMTKN-1-...@ADDRESS: "
            "run `docker swarm join-token worker` on the first server"
        )
    return Join(token, manager if ":" in manager else f"{manager}:{MANAGER_PORT}")


def clock_note(running: Collection[str], synchronized: bool) -> str:
    """Return what to tell about the clock; "" if nothing.

    `running` are the names of processes; `synchronized` is whether systemd-timesyncd has set the clock.
    """
    keepers = [name for name in CLOCK_KEEPERS if name in running]
    if not keepers:
        return "found no time synchronisation, needed a right clock for Swarm's certificates: install chrony"
    if keepers == [TIMESYNCD] and not synchronized:
        return "found a clock that systemd-timesyncd has not set yet, needed a right one: see `timedatectl`"
    return ""


def firewall_note(ufw: str, firewalld: str, ports: str, iptables: str, wanted: Sequence[Port]) -> str:
    """Return what to tell about the firewall; "" if it lets in all the wanted ports.

    `ufw` is what `ufw status` prints, `firewalld` and `ports` are those of `firewall-cmd --state` and `--list-ports`,
    `iptables` those of `iptables -S INPUT`, which ufw and firewalld fill themselves; "" where a program is missing.
    """
    if ufw.startswith("Status: active"):
        tool, is_open = "ufw", _opened_by_ufw(ufw)
    elif firewalld.strip() == "running":
        tool, is_open = "firewalld", lambda kind, port: any(_covers(each, kind, port) for each in ports.split())
    else:
        tool, is_open = "iptables", _opened_by_iptables(iptables)
    closed = ", ".join(f"{port}/{kind}" for kind, port in wanted if not is_open(kind, port))
    needed = "which other servers and clients need: open them"
    return closed and f"found a firewall ({tool}) that may not let in {closed}, {needed}"


def _opened_by_ufw(status: str) -> IsOpen:
    rules = set(re.findall(r"^(\S+)(?: \(v6\))? +ALLOW(?: IN)? +", status, re.MULTILINE))
    return lambda kind, port: bool({f"{port}/{kind}", str(port), "Anywhere"} & rules)


def _opened_by_iptables(rules: str) -> IsOpen:
    rejects = re.search(r"^-A INPUT -j (DROP|REJECT)", rules, re.MULTILINE)
    if not rules or ("-P INPUT ACCEPT" in rules and not rejects):
        return lambda *_: True
    accepted = [line for line in rules.splitlines() if line.endswith("-j ACCEPT")]
    return lambda kind, port: any(_accepts(line, kind, port) for line in accepted)


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
