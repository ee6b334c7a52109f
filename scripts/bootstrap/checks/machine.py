"""Kernel, memory, disk, host name, mounts and ports."""

import re
from collections.abc import Iterable, Mapping

from scripts.base.errors import CommandError

KERNEL_AT_LEAST = "5.10"
MEMORY_MB = 2000
SPARE_MB = 1000  # of disk space, on top of the unpacked bundle
UNPACKED = 3  # how much larger images and packages are, once Docker and dpkg have unpacked them
# What Docker Swarm listens on.
SWARM_PORTS = (("tcp", 2377), ("tcp", 7946), ("udp", 7946), ("udp", 4789))
LISTENS = "0A"  # the state of a TCP socket in /proc/net
OCTAL = re.compile(r"\\([0-7]{3})")


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with: (28, 5, 2) of "28.5.2+dfsg4"."""
    begin = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, begin[0].split("."))) if begin else ()


def check_kernel(release: str) -> None:
    if numbers(release) < numbers(KERNEL_AT_LEAST):
        raise CommandError(f"found kernel {release}, needed {KERNEL_AT_LEAST} or newer: upgrade it and reboot")


def check_memory(meminfo: str) -> None:
    total = re.search(r"^MemTotal: *(\d+) kB", meminfo, re.MULTILINE)
    found = int(total[1]) * 1024 // 1_000_000 if total else 0
    if found < MEMORY_MB:
        raise CommandError(f"found {found} MB of memory, needed {MEMORY_MB}: add memory")


def check_space(free_mb: int, packed_mb: int) -> None:
    needed = UNPACKED * packed_mb + SPARE_MB
    if free_mb < needed:
        raise CommandError(
            f"found {free_mb} MB free for /var/lib/docker, needed {needed}: "
            "free some space, or mount a larger disk there"
        )


def check_name(node: str) -> str:
    """Return the name that slots are called after: the host name without its domain."""
    name = node.partition(".")[0]
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name):
        raise CommandError(
            f'found the host name {name}, needed up to 31 lower-case letters, digits or "-", the first a letter: '
            "hostnamectl set-hostname NAME"
        )
    return name


def sockets(kind: str, table: str) -> set[tuple[str, int]]:
    """Return the ports, each with its kind, that a table of /proc/net says are listened on."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return {
        (kind, int(row[1].rpartition(":")[2], 16))
        for row in rows
        if len(row) > 3 and (kind == "udp" or row[3] == LISTENS)
    }


def check_ports(tables: Mapping[str, str], gateway: int, in_swarm: bool) -> None:
    """`tables` are the texts of /proc/net/tcp, tcp6, udp and udp6; a Docker in a swarm holds the ports of Swarm."""
    used = set().union(*(sockets(name[:3], text) for name, text in tables.items()))
    wanted: Iterable[tuple[str, int]] = () if in_swarm else SWARM_PORTS
    for kind, port in (*wanted, ("tcp", gateway)):
        if (kind, port) in used:
            user = "the gateway" if port == gateway else "Docker Swarm"
            raise CommandError(
                f"found port {port} ({kind}) in use, needed it for {user}: stop the process that listens there"
            )


def mount_points(mountinfo: str) -> list[str]:
    """Return where something is mounted, in the order of mounting."""
    fields = (line.split(" ") for line in mountinfo.splitlines())
    return [OCTAL.sub(lambda code: chr(int(code[1], 8)), field[4]) for field in fields if len(field) > 4]


def mounts_below(mountinfo: str, path: str) -> list[str]:
    """Return the mount points at and below the path, the deepest first."""
    return sorted((point for point in mount_points(mountinfo) if f"{point}/".startswith(f"{path}/")), reverse=True)
