"""The manifest, which lists the parts of a bundle, and beside it the bill of materials."""

import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from scripts.bundle import layout, saved, sbom, volume, wheels
from scripts.bundle.contents import Contents
from scripts.host.apt_texts import Package
from scripts.host.pins import pins_of
from worker.contract.files import write_atomically


def extended(base: Path) -> dict[str, str]:
    """Return what the manifest says of the bundle that this one extends."""
    document = json.loads((base / layout.MANIFEST).read_text(encoding="utf-8"))
    return {"created": document["created"], "revision": document["wanwu"]["revision"]}


def write(
    planned: Contents,
    out: Path,
    image_ids: dict[str, str],
    hashes: dict[str, str],
    extends: Mapping[str, str] | None,
) -> None:
    """Write the manifest and the bill of materials."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    packages = {system: listed for system, (_, listed) in planned.packages.items()}
    locks = [*sbom.VENDORED, *sbom.locks_for(planned.images), *wheels.locks(planned.wheels, planned.for_gpus)]
    pins = pins_of(locks)
    write_atomically(out / layout.SBOM, sbom.render(planned.kit, created, image_ids, hashes, pins, packages))
    document = {
        "created": created,
        "wanwu": {"version": planned.kit.version, "revision": planned.kit.revision},
        "architecture": platform.machine(),
        "images": [
            {"reference": reference, "id": image_id, "file": saved.file_for(reference)}
            for reference, image_id in image_ids.items()
        ],
        "models": [
            {
                "name": name,
                "folder": f"{layout.MODELS}/{model.folder.name}",
                "hash": hashes[model.folder.name],
                "bytes": volume.size([model]),
            }
            for model in planned.models
            for name in model.served or (model.name,)
        ],
        "systems": {system: _system_entry(system, listed) for system, listed in packages.items()},
        "wheels": {version: f"{layout.WHEELS}/{version}" for version in planned.pythons if planned.wheels},
        "kit": layout.KIT,
        **({"extends": extends} if extends else {}),
        "bytes": sum((out / name).stat().st_size for name in layout.files(out) if name != layout.MANIFEST),
    }
    write_atomically(out / layout.MANIFEST, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def _system_entry(system: str, packages: Sequence[Package]) -> dict[str, str]:
    docker_version = next(package.version for package in packages if package.name == "docker.io")
    return {"packages": f"{layout.PACKAGES}/{system}", "docker": docker_version}
