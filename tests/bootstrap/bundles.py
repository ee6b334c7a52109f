"""A bundle of the layout that `make bundle` writes, as small as a test can do with."""

import hashlib
import io
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.bundle import layout, signing
from scripts.cluster.config import ROOT
from scripts.cluster.models import content_hash
from tests.bootstrap.hosts import SCRIPT
from tests.bundles import make_key
from worker.contract.version import VERSION

PYTHON = re.compile("(lib)?(python3|expat1|ssl3)")
CREATED = "2025-11-20T08:00:00+00:00"


@dataclass(frozen=True)
class Image:
    """An image of this machine's engine, saved."""

    reference: str
    id: str
    file: Path


def save(reference: str, folder: Path) -> Image:
    command = ["docker", "image", "inspect", "--format", "{{.Id}}", reference]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    file = folder / f"{reference.replace(':', '-')}.tar"
    subprocess.run(["docker", "save", "--output", str(file), reference], check=True)
    return Image(reference, found, file)


def make(
    folder: Path, packages: Mapping[str, Path], images: list[Image], models: list[Path], index_only: bool = False
) -> None:
    """Write the bundle; `packages` by system, with `index_only` their indexes, and Python, which a dry run unpacks."""
    left_out = _all_but_python if index_only else None
    for system, debs in packages.items():
        shutil.copytree(debs, folder / "packages" / system, ignore=left_out, copy_function=link)
    (folder / "images").mkdir(parents=True)
    for image in images:
        link(image.file, folder / "images" / image.file.name)
    for model in models:
        shutil.copytree(model, folder / "models" / model.name)
    write_sentinel(folder / "models")
    shutil.copy(SCRIPT, folder)
    kit(folder / "kit.tar.gz")
    manifest = {
        "wanwu": {"version": VERSION, "revision": "test"},
        "architecture": "x86_64",
        "images": [_listed(image) for image in images],
        "models": [{"name": model.name, "folder": f"models/{model.name}"} for model in models],
        "systems": {system: {"packages": f"packages/{system}"} for system in packages},
        "kit": "kit.tar.gz",
    }
    (folder / "MANIFEST.json").write_text(json.dumps(manifest, indent=1))
    write_sums(folder)


def _all_but_python(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name.endswith(".deb") and not PYTHON.match(name)]


def _listed(image: Image) -> dict[str, str]:
    return {"reference": image.reference, "id": image.id, "file": f"images/{image.file.name}"}


def add_image(folder: Path, image: Image) -> None:
    """Make the bundle one that has `image`, too."""
    link(image.file, folder / "images" / image.file.name)
    with changing(folder) as manifest:
        manifest["images"].append(_listed(image))


def leave_out_packages(folder: Path) -> None:
    """Make the bundle one for servers that have all packages: a hundred megabytes less to check at every run."""
    with changing(folder) as manifest:
        shutil.rmtree(folder / "packages")
        manifest["systems"] = {}


@contextmanager
def changing(folder: Path) -> Iterator[dict[str, Any]]:
    """Write the manifest as the block leaves it, and the checksums."""
    file = folder / "MANIFEST.json"
    manifest = json.loads(file.read_text())
    yield manifest
    file.write_text(json.dumps(manifest, indent=1))
    write_sums(folder)


def kit(file: Path) -> None:
    """The kit as git and a work tree in the making know it, but for the embedded model, which is most of its bytes."""
    parts = ["scripts", "worker", "compose", "Makefile", ":!worker/photos"]
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *parts],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    names = [name for name in listed.splitlines() if (ROOT / name).is_file()]
    subprocess.run(["tar", "-czf", file, "-C", ROOT, *names], check=True)


def write_sentinel(models: Path) -> None:
    hashes = {folder.name: content_hash(folder) for folder in sorted(models.iterdir()) if folder.is_dir()}
    (models / ".wanwu-volume.json").write_text(json.dumps({"volume": "test-volume", "models": hashes}))


def write_sums(folder: Path) -> None:
    """Write the checksums and their signature, and beside the bundle the signer's fingerprint."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in layout.UNLISTED)
    lines = [f"{_sha256(path)}  {path.relative_to(folder)}\n" for path in files]
    (folder / layout.SUMS).write_text("".join(lines))
    key = folder.parent.with_name("bundle-key")
    fingerprint = signing.sign(folder, key if key.is_file() else make_key(key))
    (folder.parent / "signers").write_text(f"{fingerprint}\n")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def link(source: str | Path, target: str | Path) -> None:
    """A hard link where both are on one file system: hundreds of megabytes, copied for every test otherwise."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy(source, target)


def renew(folder: Path, revision: str, created: str = CREATED) -> None:
    """Make the bundle that of another revision, which its kit says in a file."""
    archive, draft = folder / "kit.tar.gz", folder / "kit.new"
    content = f"{revision}\n".encode()
    with tarfile.open(archive) as old, tarfile.open(draft, "w:gz", compresslevel=1) as new:
        for member in old.getmembers():
            if member.name != "REVISION":
                new.addfile(member, old.extractfile(member) if member.isfile() else None)
        added = tarfile.TarInfo("REVISION")
        added.size = len(content)
        new.addfile(added, io.BytesIO(content))
    draft.replace(archive)
    with changing(folder) as manifest:
        manifest["wanwu"]["revision"] = revision
        manifest["created"] = created
