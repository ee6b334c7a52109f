"""`make bundle-verify`: whether a bundle is whole, by itself: no network, no engine, nothing installed."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.bundle import layout, saved
from scripts.bundle.layout import AGAIN, UNFINISHED
from scripts.models.model_store import content_hash
from worker.contract.files import sha256
from worker.contract.volume import VolumeError, read_sentinel


def verify(bundle: Path) -> None:
    """Check every file against its checksum and against the manifest; raise CommandError with a line for each fault.

    Images, models and packages are looked into only when every file is as it was.
    """
    sums = layout.read_sums(bundle)
    faults = list(_file_faults(bundle, sums)) or list(_manifest_faults(bundle, sums))
    if faults:
        raise CommandError(*(f"{bundle}/{fault}" for fault in faults))
    total = sum((bundle / name).stat().st_size for name in sums)
    say(f"whole: {bundle}, {len(sums)} files, {total / 1e6:.1f} MB")


def _file_faults(bundle: Path, sums: Mapping[str, str]) -> Iterator[str]:
    """A line for every file that is missing, extra or changed."""
    there = set(layout.files(bundle))
    for name in sorted(sums.keys() | there):
        if name not in there:
            yield f"{name}: found nothing, needed the file with sha256 {sums[name]}: {AGAIN}"
        elif name not in sums:
            yield f"{name}: found a file that {layout.SUMS} does not list, needed none: remove it"
        else:
            yield from _content_fault(bundle / name, name, sums[name])
    if (bundle / layout.WORK).exists():
        yield f"{layout.WORK}: found what an interrupted run left, needed none: {UNFINISHED}"


def _content_fault(path: Path, name: str, needed: str) -> Iterator[str]:
    try:
        found = sha256(path)
    except OSError as error:
        yield f"{name}: {error.strerror}: needed a file that can be read: {AGAIN}"
        return
    if found != needed:
        yield f"{name}: found sha256 {found}, needed {needed}: {AGAIN}"


def _manifest_faults(bundle: Path, sums: Mapping[str, str]) -> Iterator[str]:
    """A line for everything that the manifest says and the files do not."""
    try:
        manifest = json.loads((bundle / layout.MANIFEST).read_text(encoding="utf-8"))
        for name in (manifest["kit"], layout.INIT, layout.SBOM):
            if name not in sums:
                yield f"{name}: found nothing, needed the file that {layout.MANIFEST} speaks of: {UNFINISHED}"
        for image in manifest["images"]:
            yield from _image_fault(bundle, image)
        yield from _model_faults(bundle, manifest["models"])
        for system in manifest["systems"].values():
            if f"{system['packages']}/Packages" not in sums:
                yield f"{system['packages']}: found no Packages, needed the index of its packages: {UNFINISHED}"
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        yield f"{layout.MANIFEST}: found what cannot be read ({error!r}), needed a bundle's manifest: {UNFINISHED}"


def _image_fault(bundle: Path, image: Mapping[str, str]) -> Iterator[str]:
    try:
        found = saved.inside(bundle / image["file"])
    except saved.UNREADABLE as error:
        yield f"{image['file']}: found no image that can be read ({error}), needed {image['reference']}: {AGAIN}"
        return
    needed = saved.Inside(image["reference"], image["id"])
    if found != needed:
        yield (
            f"{image['file']}: found image {found.reference} with ID {found.id}, "
            f"needed {needed.reference} with ID {needed.id}: {UNFINISHED}"
        )


def _model_faults(bundle: Path, models: list[dict[str, Any]]) -> Iterator[str]:
    try:
        _, listed = read_sentinel(bundle / layout.MODELS)
    except VolumeError as error:
        yield f"{layout.MODELS}: found no sentinel that can be read ({error}), needed the volume's: {AGAIN}"
        return
    for model in models:
        found, folder = content_hash(bundle / model["folder"]), Path(model["folder"]).name
        if found != model["hash"]:
            yield f"{model['folder']}: found content hash {found}, needed {model['hash']}: {AGAIN}"
        if listed.get(folder) != model["hash"]:
            said = listed.get(folder, "nothing")
            yield f"{layout.MODELS}: found {said} in the sentinel for {folder}, needed {model['hash']}: {AGAIN}"
