"""Debian packages that bare servers need for Docker: resolved by apt in a private root, downloaded for a bundle.

This machine's own apt state stays as it is; only its mirrors, proxies and credentials are used.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.host.apt_texts import (
    Package,
    as_installed,
    index_entry,
    mirrors,
    preferences,
    read_stanzas,
    read_uris,
    settings,
    sources,
)
from scripts.host.systems import System
from worker.contract.files import sha256, write_atomically

CACHES = ("pkgcache", "srcpkgcache")  # apt's, of the lists that it has read
INDEX = "Packages"  # in the folder of the packages, which makes it a repository that apt can read
NO_RECOMMENDS = ("-o", "APT::Install-Recommends=false")


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
        (root / "apt.conf").write_text(settings(root, _settings_here()))

    def resolve(self) -> list[Package]:
        """Return every package that `system.requested` adds to a debootstrap minbase system.

        Raise CommandError if apt fails.
        """
        (self.root / "status").write_text("")
        self._run("update", "-o", "APT::Update::Error-Mode=any")
        required = [package.name for package in self._required()]
        base = self._closure(("apt", *required), "suite")
        (self.root / "status").write_text("\n\n".join(map(as_installed, base)) + "\n")
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
        write_atomically(folder / INDEX, "".join(map(index_entry, packages)))

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


def _settings_here() -> str:
    return subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout


def _known_sources() -> dict[str, str]:
    """Return suite -> mirror URI for this machine's apt sources."""
    # Unlike `indextargets`, this reads no list of packages.
    return read_uris(subprocess.run(["apt-get", "update", "--print-uris"], capture_output=True, text=True).stdout)


def _matches(path: Path, package: Package) -> bool:
    return path.is_file() and path.stat().st_size == package.bytes and sha256(path) == package.sha256
