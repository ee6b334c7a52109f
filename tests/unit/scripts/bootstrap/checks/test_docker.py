"""The versions of Docker, and the packages that a server lacks."""

import pytest

from scripts.base.errors import CommandError
from scripts.bootstrap.checks import docker

# `apt-get --simulate install make python3` on a Debian 12 that has an older libexpat1.
SIMULATION = """\
Inst libexpat1 [2.5.0-1+deb12u1] (2.5.0-1+deb12u2 localhost [amd64])
Inst python3-minimal (3.11.2-1+b1 localhost [amd64]) []
Inst python3 (3.11.2-1+b1 localhost [amd64])
Conf libexpat1 (2.5.0-1+deb12u2 localhost [amd64])
Conf python3 (3.11.2-1+b1 localhost [amd64])
"""
INDEX = "Package: docker.io\nVersion: 28\n\nPackage: make\nVersion: 4\n"


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("Docker version 28.5.2+dfsg4, build 3ef3c07c883be49a2e8097bcf6d2952fce1d70eb\n", "28.5.2"),
        ("Docker version 20.10.24+dfsg1, build 297e128\n", "20.10.24"),
        ("Docker version 29.0.1, build eedd969\n", "29.0.1"),
    ],
)
def test_the_engines_version_is_read(said: str, version: str) -> None:
    assert docker.engine_version(said) == version


def test_an_old_engine_is_replaced_only_where_packages_brought_it() -> None:
    assert not docker.is_old_engine("25.0.0", from_packages=False)
    assert docker.is_old_engine("20.10.24", from_packages=True)
    with pytest.raises(
        CommandError, match=r"^found Docker 20\.10\.24, not from this system's packages, needed 25\.0 or"
    ):
        docker.is_old_engine("20.10.24", from_packages=False)


def test_compose_may_be_missing_or_old() -> None:
    assert [docker.is_old_compose(said) for said in ("", "2.23.3", "v2.24.0", "2.40.3-3", "5.0.0")] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_a_bare_server_needs_everything_and_a_complete_one_nothing() -> None:
    bare = docker.missing_packages(True, True, ("python3",), make=True, apparmor=True, nfs=True)
    assert bare == [*docker.ENGINE, *docker.COMPOSE, "python3", "make", "apparmor", "nfs-common"]
    assert docker.missing_packages(False, False, (), make=False, apparmor=False, nfs=False) == []


def test_only_what_the_bundles_system_has_is_asked_for() -> None:
    assert docker.offered(["docker.io", "docker-cli", "make"], INDEX) == ["docker.io", "make"]


def test_an_upgraded_package_is_not_a_new_one() -> None:
    assert docker.new_packages(SIMULATION) == ["python3-minimal", "python3"]
