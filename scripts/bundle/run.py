"""`make bundle`: every part in turn, each kept when a run is repeated; the sums come last and say that it is whole."""

import json
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from scripts.base.console import say, step, warn
from scripts.base.errors import CommandError
from scripts.base.options import Flag
from scripts.bundle import contents, kit, layout, saved, sbom, volume
from scripts.bundle.contents import Contents
from scripts.bundle.kit import Kit
from scripts.bundle.layout import WORK
from scripts.cluster.config import ROOT, Cluster
from scripts.host import docker, images
from scripts.host.debs import Package
from scripts.host.wheelhouse import read_pins
from scripts.models import model_store as library
from scripts.models import verify as model_verify
from scripts.models.model_store import StoredModel
from scripts.models.options import VerifyOptions
from worker.contract.files import sha256, write_atomically

OUT = ROOT / "bundle"


@dataclass(frozen=True)
class BundleOptions:
    """What goes into a bundle, and where it is written."""

    include: Annotated[str, Flag("models, separated by commas; else the served", "NAMES")] = ""
    systems: Annotated[str, Flag("separated by commas; none for no packages", "NAMES")] = ""
    out: Annotated[Path, Flag("the bundle's directory")] = OUT


def make(options: BundleOptions, cluster: Cluster) -> None:
    """Write the bundle, or make one whole that is unfinished or of older parts; raise CommandError."""
    out, systems = options.out.absolute(), _names(options.systems)
    if fault := docker.engine_fault():
        raise CommandError(fault)
    contents.check_systems(systems)
    entries = volume.choose(library.entries(library.MODELS, cluster), _names(options.include))
    own = kit.read_kit()
    _claim(out)
    try:
        found = _decide(own, entries, systems, cluster, out)
        contents.announce(found, out)
    except CommandError:
        _release(out)
        raise
    (out / layout.SUMS).unlink(missing_ok=True)
    _fill(found, out)
    total = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    say(f"\nbundle: {out}, {total / 1e6:.1f} MB; `make bundle-verify` checks it wherever it is carried")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _claim(out: Path) -> None:
    """Make the directory, or see that it is a bundle."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        if strange := sorted({path.name for path in out.iterdir()} - layout.PARTS):
            raise CommandError(
                f"{out}: found {strange[0]}, which is no part of a bundle: name a new directory with OUT="
            )
        (out / WORK).mkdir(exist_ok=True)
    except OSError as error:
        raise CommandError(f"{out}: {error.strerror}: name a directory that can be written with OUT=") from error


def _release(out: Path) -> None:
    """Leave a bundle that was whole as it was, and nothing where nothing was."""
    others = [path for path in out.iterdir() if path.name != WORK]
    if not others or (out / layout.SUMS).exists():
        shutil.rmtree(out / WORK)
    if not others:
        out.rmdir()


def _decide(own: Kit, entries: Sequence[StoredModel], systems: Sequence[str], cluster: Cluster, out: Path) -> Contents:
    if own.revision.endswith("-dirty"):
        warn(f"files differ from revision {own.revision[:12]}: the kit is the files as they are")
    for entry in entries:
        if not library.is_verified(library.MODELS, entry.folder):
            step(f"verifying model {entry.name}")
            model_verify.verify(VerifyOptions(name=entry.name), cluster)
    needed = contents.needed_images(entries, cluster)
    images.ensure(needed)
    packages = contents.resolve_packages(systems, out / WORK)
    return Contents(own, tuple(image.reference for image in needed), tuple(entries), packages)


def _fill(found: Contents, out: Path) -> None:
    work = out / WORK
    inside = {reference: saved.save(reference, out, work).id for reference in found.images}
    hashes = volume.copy(found.models, out, work)
    for system, (apt, listed) in found.packages.items():
        step(f"packages of {system}")
        apt.fetch(listed, out / layout.PACKAGES / system)
    step("kit, manifest, bill of materials, sums")
    kit.pack(found.kit, out / layout.KIT, work / layout.KIT)
    shutil.copyfile(ROOT / "scripts" / layout.INIT, out / layout.INIT)
    (out / layout.INIT).chmod(0o755)
    _remove_others(out, found)
    _describe(found, out, inside, hashes)
    shutil.rmtree(work)
    sums = {name: sha256(out / name) for name in layout.files(out)}
    write_atomically(out / layout.SUMS, layout.format_sums(sums))


def _remove_others(out: Path, found: Contents) -> None:
    """Take away what an earlier run made that no longer belongs."""
    kept = {Path(saved.file_of(reference)).name for reference in found.images}
    for path in (out / layout.IMAGES).iterdir():
        if path.name not in kept:
            path.unlink()
    for path in (out / layout.PACKAGES).glob("*"):
        if path.name not in found.packages:
            shutil.rmtree(path)


def _describe(found: Contents, out: Path, inside: dict[str, str], hashes: dict[str, str]) -> None:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    packages = {system: listed for system, (_, listed) in found.packages.items()}
    locks = [sbom.VENDORED, *sbom.locks_of(found.images)]
    pins = {name: value for lock in locks for name, value in read_pins(lock.read_text()).items()}
    bill = sbom.render(found.kit, created, inside, hashes, pins, packages)
    write_atomically(out / layout.SBOM, bill)
    manifest = {
        "created": created,
        "wanwu": {"version": found.kit.version, "revision": found.kit.revision},
        "architecture": platform.machine(),
        "images": [
            {"reference": reference, "id": value, "file": saved.file_of(reference)}
            for reference, value in inside.items()
        ],
        "models": [
            {
                "name": name,
                "folder": f"{layout.MODELS}/{entry.folder.name}",
                "hash": hashes[entry.folder.name],
                "bytes": volume.size([entry]),
            }
            for entry in found.models
            for name in entry.served or (entry.name,)
        ],
        "systems": {system: _system(system, listed) for system, listed in packages.items()},
        "kit": layout.KIT,
        "bytes": sum((out / name).stat().st_size for name in layout.files(out) if name != layout.MANIFEST),
    }
    write_atomically(out / layout.MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")


def _system(system: str, listed: Sequence[Package]) -> dict[str, str]:
    docker_version = next(package.version for package in listed if package.name == "docker.io")
    return {"packages": f"{layout.PACKAGES}/{system}", "docker": docker_version}
