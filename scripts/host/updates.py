"""Updates that wait for what serves: of Debian's packages, in images or on this machine, and of Python's.

apt and pip know them, from wherever they get packages at this site. Without an answer from there nothing is known.
"""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.base.programs import on_path
from scripts.host import docker, images, packages
from scripts.host.pins import read_pins
from scripts.host.wheelhouse import python_with_pip

# A line of `apt-get --simulate upgrade`: package, version, and the version that waits, with all that offer it.
INST = re.compile(r"^Inst (\S+) \[([^]]+)\] \((\S+) (.*?)\[\w+\]\)", re.MULTILINE)
SECURITY = "-security"  # in the name of the suite
REFRESH = ("-o", "APT::Update::Error-Mode=any", "update")
SERVING = ("nginx", "nginx-light", "python3")  # what the local runtime needs of Debian, with all that they depend on
ONLY_NEEDED = ("--no-suggests", "--no-recommends", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances")


@dataclass(frozen=True)
class Update:
    """A package for which a newer version waits."""

    name: str
    version: str
    newer: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} -> {self.newer}"


def parse_upgrades(text: str) -> list[Update]:
    """Return the security updates among what `apt-get --simulate upgrade` printed."""
    return [Update(name, version, newer) for name, version, newer, origin in INST.findall(text) if SECURITY in origin]


def parse_newest(text: str, pins: Iterable[str]) -> list[Update]:
    """Return the `pins` ("name==version") of which `pip list --outdated --format=json` names another newest version.

    Raise CommandError if it knows none of them: then no index answered.
    """
    newest = {_canonical(entry["name"]): entry["latest_version"] for entry in json.loads(text)}
    locked = dict(pin.split("==") for pin in pins)
    if not newest:
        raise CommandError("no package index answers")
    known = [(name, version, newest.get(_canonical(name), version)) for name, version in sorted(locked.items())]
    return [Update(name, version, newer) for name, version, newer in known if newer != version]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def image_updates(references: Iterable[str]) -> dict[str, Callable[[], list[Update]]]:
    """Return, for each image that the engine has, what finds its security updates."""
    found = (reference for reference in dict.fromkeys(references) if docker.image_id(reference))
    return {f"image {reference}": partial(of_image, reference) for reference in found}


def of_image(reference: str) -> list[Update]:
    """Return the security updates for the packages in an image, base and all; raise CommandError if apt cannot know."""
    script = 'set -e; ca=/run/secrets/ca-certificates.crt; [ ! -f $ca ] || set -- -o "Acquire::https::CAInfo=$ca"\n'
    script += f'apt-get -qq "$@" {" ".join(REFRESH)}; apt-get --simulate upgrade'
    command = [
        "run",
        "--rm",
        "--pull=never",
        "--user=0",
        "--entrypoint=sh",
        *_site_options(os.environ),
        reference,
        "-c",
        script,
    ]
    return parse_upgrades(docker.run(command, {**os.environ, "LC_ALL": "C"}))


def _site_options(environ: Mapping[str, str]) -> list[str]:
    """Return the options of `docker run` by which apt finds the site's own mirror, as a build does."""
    proxies = [f"--env={name}" for name in images.PROXIES if name in environ]
    files = {
        "PIP_CERT": f"/run/secrets/{images.SECRETS['PIP_CERT']}",
        "WANWU_DEBIAN_SOURCES": f"/etc/apt/sources.list.d/{images.SECRETS['WANWU_DEBIAN_SOURCES']}",
    }
    mounts = [f"--volume={environ[name]}:{path}:ro" for name, path in files.items() if environ.get(name)]
    return [*proxies, *mounts]


def machine_updates() -> list[Update]:
    """Return the security updates for Nginx, Python and their libraries here; raise CommandError if apt cannot know."""
    if not on_path("apt-get"):
        raise CommandError("found no apt: ask this system's package manager")
    if os.geteuid() == 0:
        packages.apt(REFRESH)
    needed = set(_output("apt-cache", "depends", "--recurse", "--installed", *ONLY_NEEDED, *SERVING).splitlines())
    return [update for update in parse_upgrades(_output("apt-get", "--simulate", "upgrade")) if update.name in needed]


def apply_to_machine(updates: Sequence[Update]) -> None:
    """Install `updates` with apt; raise CommandError if this account may not, or if apt fails."""
    command = ["install", "--only-upgrade", *(update.name for update in updates)]
    if os.geteuid() != 0:
        raise CommandError(
            f"only root may update packages: run `sudo apt-get {' '.join(command)}`, then `make rollout`"
        )
    packages.apt(command)


def lock_updates(locks: Iterable[Path]) -> list[Update]:
    """Return newer versions of the Python packages that `locks` pin; raise CommandError if no index answers."""
    pins = {pin for lock in locks for pin in read_pins(lock.read_text())}
    with tempfile.TemporaryDirectory(prefix="wanwu-pins-") as folder, python_with_pip() as python:
        for name in {pin.partition("==")[0] for pin in pins}:
            # As if all were installed in version 0: pip then names the newest of each that its index has.
            about = Path(folder) / f"{name.replace('-', '_')}-0.dist-info"
            about.mkdir()
            (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0\n")
        return parse_newest(
            _output(python, "-m", "pip", "list", "--outdated", "--format=json", f"--path={folder}"), pins
        )


def _output(*command: str | Path) -> str:
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    if result.returncode:
        raise CommandError(*(result.stderr.strip().splitlines() or [f"{command[0]} failed"])[-3:])
    return result.stdout
