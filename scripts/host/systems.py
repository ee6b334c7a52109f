"""The operating systems that bare servers may have, and the packages that each of them needs for the kit and Docker."""

from dataclasses import dataclass

# The Debian suite with a new enough Docker, and its packages; a test compares both with docker-engine.sh.
NEWER_SUITE = "forky"
ENGINE = ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "containerd")
# `make up` needs python3 and make. Where the kernel has AppArmor, Docker starts no container without its parser. A
# model volume may be on NFS. The local runtime needs Nginx, which no server installs unasked.
OTHER_PACKAGES = ("python3", "make", "apparmor", "ca-certificates", "nfs-common", "nginx-light")


@dataclass(frozen=True)
class System:
    """An operating system of servers: os-release's ID-VERSION_ID, and the version of its Python for the kit."""

    name: str
    codename: str
    python: str
    components: str = "main"
    engine: tuple[str, ...] = ENGINE
    newer: str = NEWER_SUITE
    newer_python: tuple[str, ...] = ()  # beside python3, where that is too old for the kit

    @property
    def distribution(self) -> str:
        return self.name.partition("-")[0]

    @property
    def requested(self) -> tuple[str, ...]:
        return (*self.engine, *OTHER_PACKAGES, *self.newer_python)


_UBUNTU_ENGINE = ("docker.io", "docker-compose-v2", "docker-buildx", "containerd")
SYSTEMS = {
    system.name: system
    for system in (
        System("debian-12", "bookworm", "3.11"),
        System("debian-13", "trixie", "3.13"),
        System("ubuntu-22.04", "jammy", "3.11", "main universe", _UBUNTU_ENGINE, "", ("python3.11",)),
        System("ubuntu-24.04", "noble", "3.12", "main universe", _UBUNTU_ENGINE, ""),
    )
}
