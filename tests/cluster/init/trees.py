"""What lies on a host's disk, and what differs between two times."""

from difflib import unified_diff

from tests.cluster.init.hosts import Host

# Logs and caches, dpkg's own database (compared by what it lists) and the older copies that tools keep of their files.
LEFT_OUT = (
    "./proc ./sys ./dev ./run ./tmp ./media ./var/lib/dpkg ./var/cache/ldconfig ./var/cache/debconf ./var/log/*.log "
    "./var/log/wtmp ./etc/passwd- ./etc/group- ./etc/shadow- ./etc/gshadow- ./var/lib/docker/* ./var/lib/containerd/*"
)
WALK = r"""cd / && set -f && set -- $0 && cut=$1 && shift && for path; do cut="$cut -o -path $path"; done
find . ./usr -xdev \( -path $cut \) -prune -o %s | sort; dpkg-query -W"""
CONTENT = r"""-type f -printf '%p %m %u:%g\n' -exec sha256sum {} + \
    -o -type l -printf '%p -> %l\n' -o -printf '%p %m %u:%g\n'"""
CHANGED = r"-printf '%p %C@\n'"


def tree(host: Host) -> str:
    """Return every path with its mode, owner and sha256 or target, and every package."""
    return host.says("sh", "-c", WALK.replace("%s", CONTENT), LEFT_OUT)


def stamps(host: Host) -> str:
    """Return every path and when it was last changed, be it its content, mode or owner; and every package."""
    return host.says("sh", "-c", WALK.replace("%s", CHANGED), LEFT_OUT)


def difference(before: str, after: str) -> str:
    """Return the lines that differ, for a person; empty where none does."""
    return "\n".join(unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=0))
