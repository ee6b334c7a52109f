"""Find system programs, and say how to install the packages of missing ones."""

import os
import shutil
from collections.abc import Sequence

OTHER_NAMES = {"nginx-light": "nginx", "util-linux": "util-linux"}  # Debian's package name -> other distributions'
PACKAGE_MANAGERS = {"dnf": "install", "yum": "install", "zypper": "install", "apk": "add", "pacman": "-S"}


def on_path(program: str) -> bool:
    # Debian installs servers in /usr/sbin, which is not on an ordinary user's PATH.
    return shutil.which(program, path=search_path()) is not None


def search_path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"


def remedy(packages: Sequence[str]) -> str:
    """Return how to install Debian's `packages` by hand on this machine's distribution."""
    if on_path("apt-get"):
        return f"run as root: apt-get install --no-install-recommends {' '.join(packages)}"
    if any(package not in OTHER_NAMES for package in packages):
        return f"install the equivalents of Debian's {' '.join(packages)} with your package manager"
    names = " ".join(OTHER_NAMES[package] for package in packages)
    manager = next(filter(on_path, PACKAGE_MANAGERS), None)
    return (
        f"run as root: {manager} {PACKAGE_MANAGERS[manager]} {names}"
        if manager
        else f"install {names} with your package manager"
    )
