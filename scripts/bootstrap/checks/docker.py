"""The Docker that a server has, and the packages that it lacks."""

import re
from collections.abc import Sequence

from scripts.base.errors import CommandError
from scripts.bootstrap.checks.machine import numbers
from scripts.host.docker import MIN_COMPOSE, MIN_ENGINE

ENGINE = ("docker.io", "docker-cli", "containerd")
COMPOSE = ("docker-compose", "docker-compose-v2", "docker-buildx")  # as the systems call them


def engine_version(said: str) -> str:
    """Return the version in what `dockerd --version` printed."""
    found = re.search(r"^Docker version ([0-9.]+)", said, re.MULTILINE)
    return found[1] if found else said.strip()


def is_old_engine(version: str, from_packages: bool) -> bool:
    """Return whether the bundle's engine must replace this one; only packages of the system's own can be replaced."""
    if numbers(version) >= MIN_ENGINE:
        return False
    if not from_packages:
        needed = ".".join(map(str, MIN_ENGINE))
        raise CommandError(
            f"found Docker {version}, not from this system's packages, needed {needed} or newer: "
            "upgrade it, or remove it"
        )
    return True


def is_old_compose(version: str) -> bool:
    """`version` is what `docker compose version --short` printed; "" without the plugin."""
    return numbers(version.removeprefix("v")) < MIN_COMPOSE


def missing_packages(
    engine: bool, compose: bool, python: Sequence[str], make: bool, apparmor: bool, nfs: bool
) -> list[str]:
    """Return the names of the packages for what is needed; the bundle has those that its system knows."""
    names = [*(ENGINE if engine else ()), *(COMPOSE if compose else ())]
    others = {"make": make, "apparmor": apparmor, "nfs-common": nfs}
    return [*names, *python, *(name for name, needed in others.items() if needed)]


def offered(names: Sequence[str], index: str) -> list[str]:
    """Return those of the packages that the text of a package index lists."""
    listed = set(re.findall(r"^Package: (.+)$", index, re.MULTILINE))
    return [name for name in names if name in listed]


def new_packages(simulation: str) -> list[str]:
    """Return what `apt-get --simulate install` would add; what it would upgrade has its version in brackets first."""
    return re.findall(r"^Inst (\S+) \(", simulation, re.MULTILINE)
