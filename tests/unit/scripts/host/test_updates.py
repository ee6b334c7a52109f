"""What waits, read from what apt and pip print."""

import json

import pytest

from scripts.base.errors import CommandError
from scripts.host.updates import parse_newest, parse_upgrades

# As apt 2.6.1 of Debian 12 printed it.
SIMULATED = """\
NOTE: This is only a simulation!
Inst base-files [12.4+deb12u11] (12.4+deb12u15 Debian:12.15/oldstable [amd64])
Inst libgcrypt20-dev [1.10.1-3] (1.10.1-3+deb12u1 Debian:12.15/oldstable, Debian-Security:12/oldstable-security [amd64]) []
Inst liblzma5 [5.4.1-1+deb12u1] (5.4.1-1+deb12u2 Debian-Security:12/oldstable-security [amd64])
Inst python3.11 [3.11.2-6+deb12u6] (3.11.2-6+deb12u9 Debian-Security:12/oldstable-security [amd64]) [libpython3.11:amd64 ]
Inst new-dependency (1.0 Debian-Security:12/oldstable-security [amd64])
Conf liblzma5 (5.4.1-1+deb12u2 Debian-Security:12/oldstable-security [amd64])
"""  # noqa: E501


def test_only_security_updates_of_what_is_installed_count() -> None:
    assert [str(update) for update in parse_upgrades(SIMULATED)] == [
        "libgcrypt20-dev 1.10.1-3 -> 1.10.1-3+deb12u1",
        "liblzma5 5.4.1-1+deb12u1 -> 5.4.1-1+deb12u2",
        "python3.11 3.11.2-6+deb12u6 -> 3.11.2-6+deb12u9",
    ]


def newest(**versions: str) -> str:
    return json.dumps([{"name": name, "version": "0", "latest_version": version} for name, version in versions.items()])


def test_a_package_that_the_index_does_not_know_is_not_newer() -> None:
    listed = newest(numpy="2.4.6", Typing_Extensions="4.20")
    pins = ["numpy==2.4.6", "typing-extensions==4.15.0", "torch==2.14.1+cpu"]
    assert [str(update) for update in parse_newest(listed, pins)] == ["typing-extensions 4.15.0 -> 4.20"]


def test_an_index_that_knows_nothing_is_none() -> None:
    with pytest.raises(CommandError, match="no package index answers"):
        parse_newest("[]", ["numpy==2.4.6"])
