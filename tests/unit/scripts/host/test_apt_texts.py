"""Packages for bare servers: their mirrors, and that all scripts name the same engine. No mirror is contacted."""

import re
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.host.apt_texts import mirrors, preferences, read_stanzas, read_uris, settings, sources
from scripts.host.systems import ENGINE, NEWER_SUITE, SYSTEMS

HERE = {
    "bookworm": "http://mirror/debian/",
    "bookworm-updates": "http://other/debian/",
    "bookworm-security": "http://mirror/security/",
}
INDEX = """Package: b
Version: 1:2.0+x-1
Architecture: amd64
Depends: c (>= 1),
 d
Filename: pool/main/b/b_2.0+x-1_amd64.deb
Size: 12
SHA256: 00

Package: c
Version: 1
Filename: ./c_1_all.deb
Size: 3
SHA256: 11
"""


def test_the_engine_matches_docker_engine_sh() -> None:
    script = (ROOT / "scripts/docker-engine.sh").read_text()
    assert re.findall(r"^SUITE=(.+)$", script, re.MULTILINE) == [NEWER_SUITE]
    assert re.findall(r"^PACKAGES=\((.+)\)$", script, re.MULTILINE) == [" ".join(ENGINE)]
    pins = re.findall(r"^\t\t((?:Package|Pin|Pin-Priority): .+)$", script, re.MULTILINE)
    written = "\n".join(pins).replace("$SUITE", NEWER_SUITE).replace("${PACKAGES[*]}", " ".join(ENGINE))
    assert preferences(SYSTEMS["debian-12"]).split() == written.split()


def test_the_systems_match_init_server_sh() -> None:
    script = (ROOT / "scripts/init-server.sh").read_text()
    assert re.findall(r"^SYSTEMS=\((.+)\)", script, re.MULTILINE) == [
        " ".join(f"{system.codename}={name}" for name, system in SYSTEMS.items())
    ]


def test_a_system_uses_this_machines_mirrors_of_its_distribution() -> None:
    for name in ("debian-12", "debian-13"):
        assert mirrors(SYSTEMS[name], HERE, {}) == ["http://mirror/debian/", "http://mirror/security/"]
    assert mirrors(SYSTEMS["debian-13"], {"trixie": "http://t"}, {}) == ["http://t"]


def test_the_mirror_of_each_suite_is_where_apt_fetches_its_release_from() -> None:
    printed = (
        "'http://mirror/debian/dists/bookworm/InRelease' mirror_debian_dists_bookworm_InRelease 0 \n"
        "'http://mirror/security/dists/bookworm-security/InRelease' mirror_InRelease 0 \n"
        "'http://mirror/debian/dists/bookworm/main/binary-amd64/Packages.xz' mirror_Packages 0 \n"
    )
    assert read_uris(printed) == {"bookworm": "http://mirror/debian/", "bookworm-security": "http://mirror/security/"}


def test_a_configured_mirror_takes_precedence() -> None:
    environ = {"WANWU_DEBIAN_MIRROR": "http://d", "WANWU_UBUNTU_MIRROR": "http://u"}
    assert mirrors(SYSTEMS["debian-12"], HERE, environ) == ["http://d", "http://mirror/security/"]
    assert mirrors(SYSTEMS["ubuntu-24.04"], HERE, environ) == ["http://u"]


def test_a_missing_mirror_is_reported_with_the_variable_to_set() -> None:
    with pytest.raises(CommandError) as error:
        mirrors(SYSTEMS["ubuntu-22.04"], HERE, {})
    assert error.value.lines == (
        "ubuntu-22.04: found no mirror of Ubuntu in apt's sources: name one in WANWU_UBUNTU_MIRROR",
    )


def test_sources_have_apts_format() -> None:
    assert sources(SYSTEMS["debian-13"], ["http://m"], ("", "-updates")) == (
        "Types: deb\nURIs: http://m\nSuites: trixie trixie-updates\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )
    assert f"Suites: {NEWER_SUITE}\n" in sources(SYSTEMS["debian-13"], ["http://m"], ())
    assert "Components: main universe\n" in sources(SYSTEMS["ubuntu-24.04"], ["http://m"], ("",))


def test_nothing_is_pinned_if_the_systems_own_engine_suffices() -> None:
    assert preferences(SYSTEMS["ubuntu-24.04"]) == ""


def test_an_index_is_read_stanza_by_stanza() -> None:
    first, second = read_stanzas(INDEX)
    assert (first.name, first.version, first.file, first.bytes) == ("b", "1:2.0+x-1", "b_2.0+x-1_amd64.deb", 12)
    assert (second.name, second.sha256) == ("c", "11")
    assert first.stanza.endswith("SHA256: 00")


def test_apt_has_this_machines_way_to_the_mirrors_and_nothing_else_of_it() -> None:
    dump = 'Acquire::http::Proxy "http://p";\nAPT::Install-Recommends "1";\nDir::State "var/lib/apt";\n'
    lines = settings(Path("/r"), dump).splitlines()
    assert lines[0] == 'Acquire::http::Proxy "http://p";'
    assert 'Dir::State::status "/r/status";' in lines
    assert not [line for line in lines if "Recommends" in line or "var/lib" in line]
