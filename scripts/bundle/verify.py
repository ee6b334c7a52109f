"""`make bundle-verify`: check who made a bundle, and that it is complete and unchanged, without network or Docker."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.bundle import layout, saved, signing
from scripts.bundle.layout import COPY_AGAIN, UNFINISHED
from scripts.bundle.older import combined
from scripts.cluster.models import content_hash
from worker.contract.files import sha256
from worker.contract.volume import VolumeError, read_sentinel


def verify(bundle: Path, signers: str = "", base: Path | None = None) -> None:
    """Check the signature of SHA256SUMS, then the files; `signers` says whose signature counts. Raise CommandError."""
    fingerprint = signing.check(bundle, signers)
    verify_files(bundle, base)
    say(f"signed by {fingerprint}")


def verify_files(bundle: Path, base: Path | None = None) -> None:
    """Check every file against SHA256SUMS, then the manifest against the files.

    `base` is the older bundle that this one extends. Raise CommandError with one line per fault. Images, models and
    packages are read only if every checksum matches.
    """
    sums = layout.read_sums(bundle)
    with combined(bundle, base) as whole:
        faults = list(_file_faults(whole, sums))
        if faults and base is None:
            _require_base(bundle, sums)
        faults = faults or list(_manifest_faults(whole, sums))
        if faults:
            raise CommandError(*(f"{bundle}/{fault}" for fault in faults))
        total = sum((whole / name).stat().st_size for name in sums)
    say(f"complete: {bundle}, {len(sums)} files, {total / 1e6:.1f} MB")


def _require_base(bundle: Path, sums: Mapping[str, str]) -> None:
    """Raise CommandError if the bundle extends an older one, without which it lacks files."""
    lacking = [name for name in sums if not (bundle / name).is_file()]
    try:
        extends = json.loads((bundle / layout.MANIFEST).read_text(encoding="utf-8"))["extends"]
    except (OSError, ValueError, LookupError, TypeError):
        return
    if lacking:
        raise CommandError(
            f"{bundle}: found {len(sums) - len(lacking)} of {len(sums)} files, needed the others from the bundle of "
            f"{extends['created']} that it extends (revision {extends['revision'][:12]}): set BASE=DIR"
        )


def _file_faults(bundle: Path, sums: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for every file that is missing, extra or changed."""
    present = set(layout.files(bundle))
    for name in sorted(sums.keys() | present):
        if name not in present:
            yield f"{name}: found nothing, needed the file with sha256 {sums[name]}: {COPY_AGAIN}"
        elif name not in sums:
            yield f"{name}: found a file that {layout.SUMS} does not list, needed none: remove it"
        else:
            yield from _content_fault(bundle / name, name, sums[name])
    if (bundle / layout.WORK).exists():
        yield f"{layout.WORK}: found files of an interrupted run, needed none: {UNFINISHED}"


def _content_fault(path: Path, name: str, needed: str) -> Iterator[str]:
    try:
        found = sha256(path)
    except OSError as error:
        yield f"{name}: {error.strerror}: needed a file that can be read: {COPY_AGAIN}"
        return
    if found != needed:
        yield f"{name}: found sha256 {found}, needed {needed}: {COPY_AGAIN}"


def _manifest_faults(bundle: Path, sums: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for everything in the manifest that the files contradict."""
    try:
        manifest = json.loads((bundle / layout.MANIFEST).read_text(encoding="utf-8"))
        for name in (manifest["kit"], layout.INIT, layout.SBOM):
            if name not in sums:
                yield f"{name}: found nothing, needed the file that {layout.MANIFEST} names: {UNFINISHED}"
        for image in manifest["images"]:
            yield from _image_fault(bundle, image)
        yield from _model_faults(bundle, manifest["models"])
        for system in manifest["systems"].values():
            if f"{system['packages']}/Packages" not in sums:
                yield f"{system['packages']}: found no Packages, needed its package index: {UNFINISHED}"
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        yield f"{layout.MANIFEST}: found an invalid file ({error!r}), needed a bundle's manifest: {UNFINISHED}"


def _image_fault(bundle: Path, image: Mapping[str, str]) -> Iterator[str]:
    try:
        found = saved.read_saved_image(bundle / image["file"])
    except saved.UNREADABLE as error:
        yield f"{image['file']}: found no readable image ({error}), needed {image['reference']}: {COPY_AGAIN}"
        return
    needed = saved.SavedImage(image["reference"], image["id"])
    if found != needed:
        yield (
            f"{image['file']}: found image {found.reference} with ID {found.id}, "
            f"needed {needed.reference} with ID {needed.id}: {UNFINISHED}"
        )


def _model_faults(bundle: Path, models: list[dict[str, Any]]) -> Iterator[str]:
    try:
        _, hashes = read_sentinel(bundle / layout.MODELS)
    except VolumeError as error:
        yield f"{layout.MODELS}: found no readable sentinel ({error}), needed the volume's: {COPY_AGAIN}"
        return
    for model in models:
        found, folder = content_hash(bundle / model["folder"]), Path(model["folder"]).name
        if found != model["hash"]:
            yield f"{model['folder']}: found content hash {found}, needed {model['hash']}: {COPY_AGAIN}"
        if hashes.get(folder) != model["hash"]:
            recorded = hashes.get(folder, "nothing")
            fault = f"found {recorded} in the sentinel for {folder}, needed {model['hash']}"
            yield f"{layout.MODELS}: {fault}: {COPY_AGAIN}"
