"""`make bundle`: write one part after another; a repeated run keeps finished parts.

SHA256SUMS and its signature are written last.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from scripts.base.console import say, step, warn
from scripts.base.errors import CommandError
from scripts.base.options import Flag
from scripts.bundle import contents, layout, manifest, older, saved, signing, volume, wheels
from scripts.bundle.contents import Contents
from scripts.bundle.kit import Kit, pack, read_kit
from scripts.bundle.layout import WORK
from scripts.cluster.config import ROOT, Cluster
from scripts.host import docker, images
from scripts.models import model_store
from scripts.models import verify as model_verify
from scripts.models.model_store import StoredModel
from scripts.models.options import VerifyOptions
from scripts.models.verified import is_verified
from worker.contract.files import sha256, write_atomically
from worker.contract.litter import is_litter

OUT = ROOT / "bundle"


@dataclass(frozen=True)
class BundleOptions:
    """Options of `make bundle`: no `include` means the served models, no `systems` or `wheels` all."""

    include: Annotated[str, Flag("models, separated by commas; default: those served", "NAMES")] = ""
    systems: Annotated[str, Flag("separated by commas; default: all; none: no packages", "NAMES")] = ""
    wheels: Annotated[str, Flag("some of local, teach, tools, separated by commas; default: all", "NAMES")] = ""
    base: Annotated[str, Flag("an older bundle: write only what it lacks", "DIR")] = ""
    sign_key: Annotated[str, Flag(f"the key that signs; default: ~/{signing.KEY}, made at first use", "FILE")] = ""
    out: Annotated[Path, Flag("directory of the bundle")] = OUT


def write_bundle(options: BundleOptions, cluster: Cluster) -> None:
    """Write the bundle, or complete an unfinished or outdated one; raise CommandError."""
    out, systems = options.out.absolute(), _names(options.systems)
    if fault := docker.engine_fault():
        raise CommandError(fault)
    contents.check_systems(systems)
    sets = wheels.check_sets(_names(options.wheels))
    models = volume.select_models(model_store.entries(model_store.MODELS, cluster), _names(options.include))
    kit = read_kit()
    base = Path(options.base).absolute() if options.base else None
    base_sums = older.read_base(base, out) if base else {}
    key = signing.signing_key(options.sign_key)
    _prepare_directory(out)
    try:
        planned = _plan_contents(kit, models, systems, sets, cluster, out)
        contents.check_space(planned, out)
    except CommandError:
        _restore_directory(out)
        raise
    for name in layout.UNLISTED:
        (out / name).unlink(missing_ok=True)
    if base:
        older.reuse(base, base_sums, out)
    _write_parts(planned, out, manifest.extended(base) if base else None)
    sums = {name: sha256(out / name) for name in layout.files(out)}
    written = older.leave_out(out, sums, base_sums)
    write_atomically(out / layout.SUMS, layout.format_sums(sums))
    fingerprint = signing.sign(out, key)
    total = sum((out / name).stat().st_size for name in written)
    say(f"\nbundle: {out}, {total / 1e6:.1f} MB; `make bundle-verify` checks it on any machine")
    if base:
        say(f"it has {len(written)} of {len(sums)} files and extends {base}, which the other side needs, too")
    say(f"signed by {fingerprint}: tell this to whoever installs it by another way than the bundle itself")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _prepare_directory(out: Path) -> None:
    """Create the directory and its work directory; raise CommandError if it holds anything but a bundle."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        if unknown := sorted({path.name for path in out.iterdir() if not is_litter(path.name)} - layout.PARTS):
            raise CommandError(f"{out}: found {unknown[0]}, needed a bundle's files: name a new directory with OUT=")
        (out / WORK).mkdir(exist_ok=True)
    except OSError as error:
        raise CommandError(f"{out}: {error.strerror}: name a writable directory with OUT=") from error


def _restore_directory(out: Path) -> None:
    """Remove what this run left: the work directory of a finished bundle, and an otherwise empty directory."""
    others = [path for path in out.iterdir() if path.name != WORK]
    if not others or (out / layout.SUMS).exists():
        shutil.rmtree(out / WORK)
    if not others:
        out.rmdir()


def _plan_contents(
    kit: Kit,
    models: Sequence[StoredModel],
    systems: Sequence[str],
    sets: tuple[str, ...],
    cluster: Cluster,
    out: Path,
) -> Contents:
    if kit.revision.endswith("-dirty"):
        warn(f"files differ from revision {kit.revision[:12]}: the kit contains the files as they are")
    for model in models:
        if not is_verified(model_store.MODELS, model.folder):
            step(f"verifying model {model.name}")
            model_verify.verify(VerifyOptions(name=model.name), cluster)
    needed = contents.needed_images(models, cluster)
    images.ensure(needed)
    packages = contents.resolve_packages(systems, out / WORK)
    versions = wheels.pythons([name for name in systems if name in packages])
    return Contents(kit, tuple(image.reference for image in needed), tuple(models), packages, sets, versions)


def _write_parts(planned: Contents, out: Path, extends: Mapping[str, str] | None) -> None:
    work = out / WORK
    image_ids = {reference: saved.save(reference, out, work).id for reference in planned.images}
    hashes = volume.copy(planned.models, out, work)
    for system, (apt, packages) in planned.packages.items():
        step(f"packages of {system}")
        apt.fetch(packages, out / layout.PACKAGES / system)
    if planned.wheels:
        step("wheels")
        wheels.write(planned.wheels, planned.pythons, planned.for_gpus, out)
    step("kit, manifest, bill of materials, checksums")
    pack(planned.kit, out / layout.KIT, work / layout.KIT)
    shutil.copyfile(ROOT / "scripts" / layout.INIT, out / layout.INIT)
    (out / layout.INIT).chmod(0o755)
    _remove_outdated(out, planned)
    manifest.write(planned, out, image_ids, hashes, extends)
    shutil.rmtree(work)


def _remove_outdated(out: Path, planned: Contents) -> None:
    """Remove the images, packages and wheels of an earlier run that are not planned any more."""
    image_files = {Path(saved.file_for(reference)).name for reference in planned.images}
    for path in (out / layout.IMAGES).iterdir():
        if path.name not in image_files:
            path.unlink()
    for path in (out / layout.PACKAGES).glob("*"):
        if path.name not in planned.packages:
            shutil.rmtree(path)
    for path in (out / layout.WHEELS).glob("*"):
        if not planned.wheels or path.name not in planned.pythons:
            shutil.rmtree(path)
