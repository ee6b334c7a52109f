"""What apt reads and writes: sources, preferences, settings and indexes of packages."""

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.host.systems import SYSTEMS, System

# Debian's name of this machine's architecture, which is the bundle's.
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


@dataclass(frozen=True)
class Package:
    """One version of a package, as apt's index lists it."""

    fields: Mapping[str, str]
    stanza: str

    @property
    def name(self) -> str:
        return self.fields["Package"]

    @property
    def version(self) -> str:
        return self.fields["Version"]

    @property
    def file(self) -> str:
        return Path(self.fields["Filename"]).name

    @property
    def bytes(self) -> int:
        return int(self.fields["Size"])

    @property
    def sha256(self) -> str:
        return self.fields["SHA256"]


def mirrors(system: System, known: Mapping[str, str], environ: Mapping[str, str]) -> list[str]:
    """Return the URI of the mirror of `system`, then that of its security updates if they have a mirror of their own.

    `known` maps each suite of this machine's apt sources to its mirror. The variables WANWU_DEBIAN_MIRROR,
    WANWU_DEBIAN_SECURITY_MIRROR and WANWU_UBUNTU_MIRROR of `environ` take precedence. Raise CommandError if there is
    no mirror.
    """
    prefix = f"WANWU_{system.distribution.upper()}"
    releases = [other for other in SYSTEMS.values() if other.distribution == system.distribution]
    configured = environ.get(f"{prefix}_MIRROR"), environ.get(f"{prefix}_SECURITY_MIRROR")
    detected = [
        next((known[release.codename + suffix] for release in releases if release.codename + suffix in known), None)
        for suffix in ("", "-security")
    ]
    uris = [variable or source for variable, source in zip(configured, detected, strict=True)]
    if not uris[0]:
        distribution = system.distribution.capitalize()
        raise CommandError(
            f"{system.name}: found no mirror of {distribution} in apt's sources: name one in {prefix}_MIRROR"
        )
    return [uri for uri in uris if uri]


def sources(system: System, uris: Sequence[str], suffixes: Sequence[str]) -> str:
    """Return apt sources at `uris` for the suites with `suffixes`, or for the newer suite if there are none."""
    suites = " ".join(system.codename + suffix for suffix in suffixes) or system.newer
    keyring = f"/usr/share/keyrings/{system.distribution}-archive-keyring.gpg"
    return "".join(
        f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: {system.components}\nSigned-By: {keyring}\n"
        for uri in uris
    )


def preferences(system: System) -> str:
    """Return apt preferences that take only the engine from the newer suite, as scripts/docker-engine.sh does."""
    if not system.newer:
        return ""
    return "\n".join(
        f"Package: {names}\nPin: release n={system.newer}\nPin-Priority: {priority}\n"
        for names, priority in (("*", 100), (" ".join(system.engine), 990))
    )


def read_stanzas(text: str) -> list[Package]:
    """Return the packages of an apt index, in index order."""
    stanzas = [stanza.strip("\n") for stanza in text.split("\n\n") if stanza.strip()]
    return [Package(dict(re.findall(r"^([\w-]+): (.*)$", stanza, re.MULTILINE)), stanza) for stanza in stanzas]


def read_uris(printed: str) -> dict[str, str]:
    """Return suite -> mirror URI for what `apt-get update --print-uris` printed."""
    found = re.findall(r"^'(\S+/)dists/(\S+)/InRelease' ", printed, re.MULTILINE)
    return {suite: uri for uri, suite in found}


def settings(root: Path, dump: str) -> str:
    """Return an apt.conf with the download settings in `apt-config dump`, and with all directories below `root`."""
    download_settings = [line for line in dump.splitlines() if line.startswith("Acquire::")]
    directories = {
        "State": "",
        "State::lists": "lists",
        "State::status": "status",
        "Cache": "",
        "Cache::archives": "archives",
        "Etc::preferences": "preferences",
    }
    unused = ("Etc::sourcelist", "Etc::main", "Etc::parts", "Etc::preferencesparts")
    own = [f'Dir::{name} "{root / path}";' for name, path in directories.items()]
    own += [f'Dir::{name} "/dev/null";' for name in unused]
    own += [f'APT::Architecture "{ARCHITECTURE}";', f'APT::Architectures {{ "{ARCHITECTURE}"; }};']
    # apt's sandbox user may have no access to `root`.
    own += ['Acquire::Languages "none";', 'APT::Sandbox::User "";']
    return "\n".join([*download_settings, *own]) + "\n"


def as_installed(package: Package) -> str:
    """Return the package's entry in dpkg's status."""
    first, others = package.stanza.split("\n", 1)
    return f"{first}\nStatus: install ok installed\n{others}"


def index_entry(package: Package) -> str:
    """Return the package's entry in the index of a folder that has its file."""
    return re.sub(r"^Filename: .*$", f"Filename: ./{package.file}", package.stanza, flags=re.MULTILINE) + "\n\n"
