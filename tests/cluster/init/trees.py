"""What lies on a host's disk, and what differs between two times."""

from difflib import unified_diff

from tests.cluster.init.hosts import Host

# Logs and caches, dpkg's own database (compared by what it lists) and the older copies that tools keep of their files.
LEFT_OUT = (
    "./proc ./sys ./dev ./run ./tmp ./media ./var/lib/dpkg ./var/cache/ldconfig ./var/cache/debconf ./var/log/*.log "
    "./var/log/wtmp ./etc/passwd- ./etc/group- ./etc/shadow- ./etc/gshadow- ./var/lib/docker/* ./var/lib/containerd/*"
)
LIST = r"""cd / && set -f && set -- $0 && cut=$1 && shift && for path; do cut="$cut -o -path $path"; done
find . -xdev \( -path $cut \) -prune -o -type f -printf '%p %m %u:%g\n' -exec sha256sum {} + \
    -o -type l -printf '%p -> %l\n' -o -printf '%p %m %u:%g\n' | sort; dpkg-query -W"""


def tree(host: Host) -> str:
    """Every path with its mode, owner and sha256 or target, and every package."""
    return host.says("sh", "-c", LIST, LEFT_OUT)


def difference(before: str, after: str) -> str:
    """The lines that differ, for a person; empty where none does."""
    return "\n".join(unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=0))
