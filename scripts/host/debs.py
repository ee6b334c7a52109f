"""Debian packages that bare servers need for Docker: resolved by apt in a private root, downloaded for a bundle.

This machine's own apt state stays as it is; only its mirrors, proxies and credentials are used.
"""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.base.console import say
from scripts.base.errors import CommandError
from worker.contract.files import sha256, write_atomically

# Debian's name of this machine's architecture, which is the bundle's.
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
# The Debian suite with a new enough Docker, and its packages; a test compares both with docker-engine.sh.
NEWER_SUITE = "forky"
ENGINE = ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "containerd")
# `make up` needs python3 and make. Where the kernel has AppArmor, Docker starts no container without its parser. A
# model volume may be on NFS. The local runtime needs Nginx, which no server installs unasked.
OTHER_PACKAGES = ("python3", "make", "apparmor", "ca-certificates", "nfs-common", "nginx-light")
CACHES = ("pkgcache", "srcpkgcache")  # apt's, of the lists that it has read
INDEX = "Packages"  # in the folder of the packages, which makes it a repository that apt can read
NO_RECOMMENDS = ("-o", "APT::Install-Recommends=false")


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


class Apt:
    """An apt for `system` that keeps its lists, status and settings below `root`.

    Raise CommandError if this machine has no apt-get, or knows no mirror of `system`.
    """

    def __init__(self, system: System, root: Path) -> None:
        self.system, self.root = system, root
        if shutil.which("apt-get") is None:
            raise CommandError(
                "found no apt-get to download packages with, needed Debian or Ubuntu: or set SYSTEMS=none"
            )
        uris = mirrors(system, _known_sources(), os.environ)
        for folder in ("lists/partial", "archives/partial", "suite", "all"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "suite/own.sources").write_text(sources(system, uris[:1], ("",)))
        (root / "all/own.sources").write_text(sources(system, uris[:1], ("", "-updates")))
        (root / "all/security.sources").write_text(sources(system, uris[1:], ("-security",)))
        (root / "all/newer.sources").write_text(sources(system, uris[:1] if system.newer else [], ()))
        (root / "preferences").write_text(preferences(system))
        (root / "apt.conf").write_text(_settings(root))

    def resolve(self) -> list[Package]:
        """Return every package that `system.requested` adds to a debootstrap minbase system.

        Raise CommandError if apt fails.
        """
        (self.root / "status").write_text("")
        self._run("update", "-o", "APT::Update::Error-Mode=any")
        required = [package.name for package in self._required()]
        base = self._closure(("apt", *required), "suite")
        (self.root / "status").write_text("\n\n".join(map(_as_installed, base)) + "\n")
        return self._closure(self.system.requested, "all")

    def fetch(self, packages: Sequence[Package], folder: Path) -> None:
        """Download missing packages and delete other files, so that `folder` holds just `packages` and their index.

        Raise CommandError if apt fails.
        """
        folder.mkdir(parents=True, exist_ok=True)
        missing = [package for package in packages if not _matches(folder / package.file, package)]
        self._download(missing)
        for package in missing:
            found = next((path for path in (self.root / "archives").iterdir() if _matches(path, package)), None)
            if found is None:
                raise CommandError(
                    f"{self.system.name}: apt did not download {package.file} as its index describes it: try again"
                )
            found.replace(folder / package.file)
        expected = {INDEX, *(package.file for package in packages)}
        for path in folder.iterdir():
            if path.name not in expected:
                path.unlink()
        # Not in place: the file may be a link to an older bundle's.
        write_atomically(folder / INDEX, "".join(map(_index_entry, packages)))

    def _download(self, packages: Sequence[Package]) -> None:
        """Download and verify `packages` with apt, which skips those already in its archive."""
        if not packages:
            return
        names = [f"{package.name}={package.version}" for package in packages]
        with self._start("all", "download", *names, cwd=self.root / "archives") as apt:
            for line in apt.stdout or ():
                if match := re.match(r"Get:(\d+) \S+ \S+ \S+ (\S+) \S+ (\S+) \[(.+)\]", line):
                    say(f"   {match[1]}/{len(packages)} {match[2]} {match[3]}, {match[4]}")
            errors = (apt.stderr.read() if apt.stderr else "").splitlines()
        if apt.returncode:
            raise CommandError(self._error_message("download", errors))

    def _required(self) -> list[Package]:
        files = self._run("indextargets", "--format", "$(FILENAME)", "Identifier: Packages", sources="suite")
        command = ["/usr/lib/apt/apt-helper", "cat-file", *files.split()]
        index = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return read_stanzas("\n\n".join(one for one in index.split("\n\n") if "\nPriority: required\n" in one))

    def _closure(self, names: Iterable[str], sources: str) -> list[Package]:
        simulated = self._run("install", "--simulate", *NO_RECOMMENDS, *names, sources=sources)
        versions = re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", simulated, re.MULTILINE)
        stanzas = self._run("show", *(f"{name}={version}" for name, version in versions), sources=sources)
        return sorted(
            {package.name: package for package in read_stanzas(stanzas)}.values(), key=lambda package: package.name
        )

    def _run(self, command: str, *arguments: str, sources: str = "all") -> str:
        with self._start(sources, command, *arguments) as apt:
            output, errors = apt.communicate()
        if apt.returncode:
            raise CommandError(self._error_message(command, errors.splitlines()))
        return output

    def _start(self, sources: str, command: str, *arguments: str, cwd: Path | None = None) -> "subprocess.Popen[str]":
        program = "apt-cache" if command == "show" else "apt-get"
        environ = os.environ | {"APT_CONFIG": str(self.root / "apt.conf"), "LC_ALL": "C.UTF-8"}
        options = ["-q", "-o", f"Dir::Etc::sourceparts={self.root / sources}"]
        for cache in CACHES:  # each set of sources has its own, or apt would read all lists anew at every change of set
            options += ["-o", f"Dir::Cache::{cache}={sources}-{cache}.bin"]
        full_command = [program, *options, command, *arguments]
        return subprocess.Popen(
            full_command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ, cwd=cwd or self.root
        )

    def _error_message(self, command: str, errors: Sequence[str]) -> str:
        reasons = [line for line in errors if line.startswith("E:")] or [*errors, "it printed nothing"]
        return f"{self.system.name}: apt-get {command} failed: {reasons[0]}"


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


def _settings(root: Path) -> str:
    """Return an apt.conf with this machine's download settings, and with all directories below `root`."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    download_settings = [line for line in dump.splitlines() if line.startswith("Acquire::")]
    directories = {
        "State": "",
        "State::lists": "lists",
        "State::status": "status",
        "Cache": "",
        "Cache::archives": "archives",
    }
    directories["Etc::preferences"] = "preferences"
    unused = ("Etc::sourcelist", "Etc::main", "Etc::parts", "Etc::preferencesparts")
    settings = [f'Dir::{name} "{root / path}";' for name, path in directories.items()]
    settings += [f'Dir::{name} "/dev/null";' for name in unused]
    settings += [f'APT::Architecture "{ARCHITECTURE}";', f'APT::Architectures {{ "{ARCHITECTURE}"; }};']
    # apt's sandbox user may have no access to `root`.
    settings += ['Acquire::Languages "none";', 'APT::Sandbox::User "";']
    return "\n".join([*download_settings, *settings]) + "\n"


def _known_sources() -> dict[str, str]:
    """Return suite -> mirror URI for this machine's apt sources."""
    # Unlike `indextargets`, this reads no list of packages.
    return read_uris(subprocess.run(["apt-get", "update", "--print-uris"], capture_output=True, text=True).stdout)


def read_uris(printed: str) -> dict[str, str]:
    """Return suite -> mirror URI for what `apt-get update --print-uris` printed."""
    found = re.findall(r"^'(\S+/)dists/(\S+)/InRelease' ", printed, re.MULTILINE)
    return {suite: uri for uri, suite in found}


def _as_installed(package: Package) -> str:
    first, others = package.stanza.split("\n", 1)
    return f"{first}\nStatus: install ok installed\n{others}"


def _index_entry(package: Package) -> str:
    return re.sub(r"^Filename: .*$", f"Filename: ./{package.file}", package.stanza, flags=re.MULTILINE) + "\n\n"


def _matches(path: Path, package: Package) -> bool:
    return path.is_file() and path.stat().st_size == package.bytes and sha256(path) == package.sha256
