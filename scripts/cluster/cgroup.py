"""What the machine and the cgroups of this process leave to it, from the texts of their files: pure functions."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from scripts.base.errors import CommandError


def cgroup_files(own_cgroups: str, controller: str, v1_name: str, v2_name: str) -> list[PurePosixPath]:
    """Return the possible paths of a cgroup controller's file, from this process's cgroup up to the root.

    `own_cgroups` is the text of /proc/self/cgroup. In a container the path in it may not exist; only the root does.
    """
    files = []
    for line in own_cgroups.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = PurePosixPath("/sys/fs/cgroup") / controllers
        cgroup = PurePosixPath(path.lstrip("/"))
        name = v1_name if controllers else v2_name
        files += [mount / parent / name for parent in dict.fromkeys((cgroup, *cgroup.parents))]
    return files


def parse_memory(meminfo: str, limits: Iterable[str]) -> int:
    """Return the memory in bytes: MemTotal, or the lowest cgroup limit if that is lower ("max" means no limit).

    Raise CommandError if `meminfo` has no MemTotal line.
    """
    total = re.search(r"^MemTotal:\s+(\d+) kB$", meminfo, re.MULTILINE)
    if total is None:
        raise CommandError("/proc/meminfo has no MemTotal line: mount /proc")
    return min([int(total[1]) * 1024, *(int(limit) for limit in limits if limit.strip().isdigit())])


def parse_free_memory(meminfo: str, cgroups: Iterable[tuple[str, str, str]]) -> int:
    """Return the bytes that new processes can have: MemAvailable, or what the tightest cgroup leaves.

    `cgroups` have a limit, the present use, and memory.stat each. Files that nobody reads now count as free.
    """
    available = re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo, re.MULTILINE)
    left = [int(available[1]) * 1024] if available else []
    for limit, used, stat in cgroups:
        if limit.strip().isdigit() and used.strip().isdigit():
            inactive = re.search(r"^(?:total_)?inactive_file (\d+)$", stat, re.MULTILINE)
            left.append(int(limit) - int(used) + (int(inactive[1]) if inactive else 0))
    return max(0, min(left, default=0))


def parse_quota(texts: Iterable[str]) -> float | None:
    """Return the lowest of the quotas in CPUs, None if there is none.

    Each text is that of cpu.max, or of cpu.cfs_quota_us and cpu.cfs_period_us, of the cgroup or a parent.
    """
    quotas = [int(quota) / int(period) for quota, period in map(_pair, texts) if quota.isdigit() and period.isdigit()]
    return min(quotas, default=None)


def _pair(text: str) -> tuple[str, str]:
    quota, period = (*text.split(), "", "")[:2]  # without a limit the quota is "max" or -1
    return quota, period
