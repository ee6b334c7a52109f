"""Debian packages that bare servers need for Docker: resolved by apt in a private root, downloaded for a bundle.

This machine's own apt state stays as it is; only its mirrors, proxies and credentials are used.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.base.console import say
from scripts.base.errors import CommandError
from worker.contract.files import sha256

ARCHITECTURE = "amd64"
NEWER = "forky"  # the Debian suite with a new enough Docker; a test compares NEWER and ENGINE with docker-engine.sh
ENGINE = ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "containerd")
# `make up` needs python3 and make. Where the kernel has AppArmor, Docker starts no container without its parser. A
# model volume may be on NFS.
BESIDE = ("python3", "make", "apparmor", "ca-certificates", "nfs-common")
INDEX = "Packages"  # in the folder of the packages, which makes it a repository that apt can read
RECOMMENDED = ("-o", "APT::Install-Recommends=false")


@dataclass(frozen=True)
class System:
    """An operating system that servers may run; `name` is os-release's ID-VERSION_ID."""

    name: str
    codename: str
    components: str = "main"
    engine: tuple[str, ...] = ENGINE
    newer: str = NEWER

    @property
    def distribution(self) -> str:
        return self.name.partition("-")[0]

    @property
    def wanted(self) -> tuple[str, ...]:
        return (*self.engine, *BESIDE)


_UBUNTU_ENGINE = ("docker.io", "docker-compose-v2", "docker-buildx", "containerd")
SYSTEMS = {
    system.name: system
    for system in (
        System("debian-12", "bookworm"),
        System("debian-13", "trixie"),
        System("ubuntu-22.04", "jammy", "main universe", _UBUNTU_ENGINE, ""),
        System("ubuntu-24.04", "noble", "main universe", _UBUNTU_ENGINE, ""),
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
                "found no apt-get to collect packages with, needed Debian or Ubuntu: or set SYSTEMS=none"
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
        """Return every package that `system.wanted` adds to a debootstrap minbase system.

        Raise CommandError if apt fails.
        """
        (self.root / "status").write_text("")
        self._run("update", "-o", "APT::Update::Error-Mode=any")
        required = [package.name for package in self._required()]
        base = self._closure(("apt", *required), "suite")
        (self.root / "status").write_text("\n\n".join(map(_installed, base)) + "\n")
        return self._closure(self.system.wanted, "all")

    def fetch(self, packages: Sequence[Package], folder: Path) -> None:
        """Download missing packages and delete other files, so that `folder` holds just `packages` and their index.

        Raise CommandError if apt fails.
        """
        folder.mkdir(parents=True, exist_ok=True)
        absent = [package for package in packages if not _is(folder / package.file, package)]
        self._download(absent)
        for package in absent:
            found = next((path for path in (self.root / "archives").iterdir() if _is(path, package)), None)
            if found is None:
                raise CommandError(f"{self.system.name}: apt brought no {package.file} as its index has it: try again")
            found.replace(folder / package.file)
        kept = {INDEX, *(package.file for package in packages)}
        for path in folder.iterdir():
            if path.name not in kept:
                path.unlink()
        (folder / INDEX).write_text("".join(map(_listed, packages)), encoding="utf-8")

    def _download(self, packages: Sequence[Package]) -> None:
        """Download and verify `packages` with apt, which skips those already in its archive."""
        if not packages:
            return
        names = [f"{package.name}={package.version}" for package in packages]
        with self._start("all", "download", *names, cwd=self.root / "archives") as apt:
            for line in apt.stdout or ():
                if got := re.match(r"Get:(\d+) \S+ \S+ \S+ (\S+) \S+ (\S+) \[(.+)\]", line):
                    say(f"   {got[1]}/{len(packages)} {got[2]} {got[3]}, {got[4]}")
            complaint = (apt.stderr.read() if apt.stderr else "").splitlines()
        if apt.returncode:
            raise CommandError(self._fault("download", complaint))

    def _required(self) -> list[Package]:
        shown = self._run("indextargets", "--format", "$(FILENAME)", "Identifier: Packages", sources="suite")
        command = ["/usr/lib/apt/apt-helper", "cat-file", *shown.split()]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return [package for package in read_stanzas(listed) if package.fields.get("Priority") == "required"]

    def _closure(self, names: Iterable[str], sources: str) -> list[Package]:
        simulated = self._run("install", "--simulate", *RECOMMENDED, *names, sources=sources)
        chosen = re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+) ", simulated, re.MULTILINE)
        shown = self._run("show", *(f"{name}={version}" for name, version in chosen), sources=sources)
        return sorted({package.name: package for package in read_stanzas(shown)}.values(), key=lambda one: one.name)

    def _run(self, command: str, *arguments: str, sources: str = "all") -> str:
        with self._start(sources, command, *arguments) as apt:
            said, complaint = apt.communicate()
        if apt.returncode:
            raise CommandError(self._fault(command, complaint.splitlines()))
        return said

    def _start(self, sources: str, command: str, *arguments: str, cwd: Path | None = None) -> "subprocess.Popen[str]":
        program = "apt-cache" if command == "show" else "apt-get"
        environ = os.environ | {"APT_CONFIG": str(self.root / "apt.conf"), "LC_ALL": "C.UTF-8"}
        own = [program, "-q", "-o", f"Dir::Etc::sourceparts={self.root / sources}", command, *arguments]
        return subprocess.Popen(
            own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ, cwd=cwd or self.root
        )

    def _fault(self, command: str, complaint: Sequence[str]) -> str:
        said = [line for line in complaint if line.startswith("E:")] or [*complaint, "it said nothing"]
        return f"{self.system.name}: apt-get {command} failed: {said[0]}"


def mirrors(system: System, known: Mapping[str, str], environ: Mapping[str, str]) -> list[str]:
    """Return the URI of the mirror of `system`, then that of its security updates if they have a mirror of their own.

    `known` maps each suite of this machine's apt sources to its mirror. The variables WANWU_DEBIAN_MIRROR,
    WANWU_DEBIAN_SECURITY_MIRROR and WANWU_UBUNTU_MIRROR of `environ` take precedence. Raise CommandError if there is
    no mirror.
    """
    prefix = f"WANWU_{system.distribution.upper()}"
    family = [one for one in SYSTEMS.values() if one.distribution == system.distribution]
    named = environ.get(f"{prefix}_MIRROR"), environ.get(f"{prefix}_SECURITY_MIRROR")
    own = [next((known[one.codename + end] for one in family if one.codename + end in known), None)
           for end in ("", "-security")]  # fmt: skip
    found = [given or other for given, other in zip(named, own, strict=True)]
    if not found[0]:
        distribution = system.distribution.capitalize()
        raise CommandError(
            f"{system.name}: found no mirror of {distribution} in apt's sources: name one in {prefix}_MIRROR"
        )
    return [uri for uri in found if uri]


def sources(system: System, uris: Sequence[str], ends: Sequence[str]) -> str:
    """Return apt sources at `uris` for the suites with suffixes `ends`, or for the newer suite if `ends` is empty."""
    suites = " ".join(system.codename + end for end in ends) or system.newer
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
    fetching = [line for line in dump.splitlines() if line.startswith("Acquire::")]
    places = {
        "State": "",
        "State::lists": "lists",
        "State::status": "status",
        "Cache": "",
        "Cache::archives": "archives",
    }
    places["Etc::preferences"] = "preferences"
    nowhere = ("Etc::sourcelist", "Etc::main", "Etc::parts", "Etc::preferencesparts")
    own = [f'Dir::{name} "{root / place}";' for name, place in places.items()]
    own += [f'Dir::{name} "/dev/null";' for name in nowhere]
    own += [f'APT::Architecture "{ARCHITECTURE}";', f'APT::Architectures {{ "{ARCHITECTURE}"; }};']
    own += ['Acquire::Languages "none";', 'APT::Sandbox::User "";']  # apt's sandbox user may have no access to `root`
    return "\n".join([*fetching, *own]) + "\n"


def _known_sources() -> dict[str, str]:
    """Return suite -> mirror URI for this machine's apt sources."""
    command = ["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Identifier: Packages"]
    shown = subprocess.run(command, capture_output=True, text=True).stdout
    return dict(line.split(" ", 1) for line in shown.splitlines() if " " in line)


def _installed(package: Package) -> str:
    head, rest = package.stanza.split("\n", 1)
    return f"{head}\nStatus: install ok installed\n{rest}"


def _listed(package: Package) -> str:
    return re.sub(r"^Filename: .*$", f"Filename: ./{package.file}", package.stanza, flags=re.MULTILINE) + "\n\n"


def _is(path: Path, package: Package) -> bool:
    return path.is_file() and path.stat().st_size == package.bytes and sha256(path) == package.sha256
