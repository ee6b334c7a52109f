"""What lies on a host's disk, and what differs between two times."""

from difflib import unified_diff

from tests.bootstrap.hosts import Host

# Logs and caches, dpkg's own database (compared by what it lists) and the older copies that tools keep of their files.
LEFT_OUT = (
    "./proc ./sys ./dev ./run ./tmp ./media ./var/lib/dpkg ./var/cache/ldconfig ./var/cache/debconf ./var/log/*.log "
    "./var/log/wtmp ./etc/passwd- ./etc/group- ./etc/shadow- ./etc/gshadow- ./var/lib/docker/* ./var/lib/containerd/*"
)
WALK = r"""cd / && set -f && set -- $0 && cut=$1 && shift && for path; do cut="$cut -o -path $path"; done
find . ./usr -xdev \( -path $cut \) -prune -o -printf '%s'"""
CONTENT = r"%y\t%p\t%m %u:%g\t%l\t%i %s %C@\0"
CHANGED = r"%p %C@\0"
# By path, inode, size and time of the last change: whatever changes a file's content changes that time. Most files are
# those of the root that all hosts share, which would be read anew for every tree.
HASHES: dict[tuple[str, str], str] = {}


def tree(host: Host) -> str:
    """Return every path with its mode, owner and sha256 or target, and every package."""
    entries = [entry.split("\t") for entry in walk(host, CONTENT)]
    unknown = [path for kind, path, _, _, state in entries if kind == "f" and (path, state) not in HASHES]
    given = "".join(f"{path}\0" for path in unknown)
    hashed = host.run("sh", "-c", "cd / && xargs -0 -r sha256sum --zero", given=given).stdout
    found = {path: digest for digest, _, path in (line.partition("  ") for line in hashed.split("\0") if line)}
    HASHES.update({(path, state): found[path] for _, path, _, _, state in entries if path in found})
    lines = [
        f"{path} {rights} {target or HASHES.get((path, state), '')}".rstrip()
        for _, path, rights, target, state in entries
    ]
    return "\n".join([*sorted(lines), host.says("dpkg-query", "-W")])


def stamps(host: Host) -> str:
    """Return every path and when it was last changed, be it its content, mode or owner; and every package."""
    return "\n".join([*sorted(walk(host, CHANGED)), host.says("dpkg-query", "-W")])


def walk(host: Host, shown: str) -> list[str]:
    """Return what find's format `shown`, which ends with a NUL, says of every path that is not left out."""
    return host.run("sh", "-c", WALK.replace("%s", shown), LEFT_OUT).stdout.rstrip("\0").split("\0")


def difference(before: str, after: str) -> str:
    """Return the lines that differ, for a person; empty where none does."""
    return "\n".join(unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=0))
