"""Labels of SELinux: where it is enforced, containers see only what is labelled for them."""

import os
import shlex
import subprocess
from collections.abc import Iterable
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.host import docker

ENFORCED = Path("/sys/fs/selinux/enforce")
LABEL = "security.selinux"  # the extended attribute: user:role:type:level
FOR_CONTAINERS = ("container_file_t", "container_ro_file_t", "container_share_t")


def faults(folders: Iterable[Path]) -> list[str]:
    """Return a line for each of `folders` that containers of this machine may not read."""
    return label_faults({folder: _type(folder) for folder in folders}) if _is_enforced() else []


def label(folder: Path) -> None:
    """Let containers read `folder`, which this kit has written; raise CommandError if that fails."""
    if not _is_enforced():
        return
    command = ["chcon", "-R", "-t", FOR_CONTAINERS[0], str(folder)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise CommandError(f"`{' '.join(command)}` failed: {result.stderr.strip()}: run `make up` as root")


def label_faults(types: dict[Path, str]) -> list[str]:
    """Return a line for each path whose type is not one for containers; an unknown type is "".

    Compose's own option, selinux: z, has no effect on mounts that must exist before.
    """
    return [
        f"{path}: found the SELinux type {kind}, needed one for containers: "
        f"run as root: chcon -R -t {FOR_CONTAINERS[0]} {shlex.quote(str(path))}"
        for path, kind in types.items()
        if kind and kind not in FOR_CONTAINERS
    ]


def _is_enforced() -> bool:
    try:
        enforced = ENFORCED.read_text().strip() == "1"
    except OSError:
        return False
    return enforced and "name=selinux" in docker.run(["info", "--format", "{{.SecurityOptions}}"])


def _type(path: Path) -> str:
    """Return the type in the label of `path`; nothing if it has none, as on NFS."""
    try:
        return os.getxattr(path, LABEL).decode().split(":")[2]
    except (OSError, IndexError):
        return ""
