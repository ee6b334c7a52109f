"""Programs that a machine has, and what to do by hand for those that it lacks."""

import os
import shutil
from collections.abc import Sequence

ELSEWHERE = {"nginx-light": "nginx", "util-linux": "util-linux"}  # Debian's names to those of other distributions
MANAGERS = ("dnf", "yum", "zypper")  # `MANAGER install PACKAGES`


def on_path(program: str) -> bool:
    # Debian keeps servers in /usr/sbin, which an ordinary user's PATH lacks.
    return shutil.which(program, path=search_path()) is not None


def search_path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"


def remedy(packages: Sequence[str]) -> str:
    """Return what to do by hand to have Debian's `packages`, on whatever distribution this is."""
    if on_path("apt-get"):
        return f"run as root: apt-get install --no-install-recommends {' '.join(packages)}"
    if any(package not in ELSEWHERE for package in packages):
        return f"install what Debian calls {' '.join(packages)} with your package manager"
    names = " ".join(ELSEWHERE[package] for package in packages)
    manager = next(filter(on_path, MANAGERS), None)
    return f"run as root: {manager} install {names}" if manager else f"install {names} with your package manager"
