"""A small bundle, made by the modules of `make bundle`, with an image that needs no Docker engine."""

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

from scripts.bundle import layout, signing, volume
from scripts.models.model_store import StoredModel
from worker.contract.files import sha256, write_atomically

REFERENCE = "wanwu-gateway:0123456789ab"


def save_image(file: Path, reference: str = REFERENCE, config: bytes = b'{"os": "linux"}') -> str:
    """Write a compressed image archive like that of `docker save`; return the image's ID."""
    value = hashlib.sha256(config).hexdigest()
    listed = [{"Config": f"blobs/sha256/{value}", "RepoTags": [reference], "Layers": []}]
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w:gz") as archive:
        for name, content in ((f"blobs/sha256/{value}", config), ("manifest.json", json.dumps(listed).encode())):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return f"sha256:{value}"


def make_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.toml").write_text("name = 'm'\n")
    (folder / "labels").mkdir()
    (folder / "labels/en.txt").write_text("one\n")
    return folder


def make_bundle(bundle: Path, source: Path) -> Path:
    """Make a complete bundle of one image and one model, with an empty package index; return `bundle`."""
    (bundle / layout.WORK).mkdir(parents=True)
    found = save_image(bundle / "images/gateway.tar.gz")
    hashes = volume.copy([StoredModel("m", make_model(source / "m"))], bundle, bundle / layout.WORK)
    (bundle / layout.WORK).rmdir()
    (bundle / "packages/debian-12").mkdir(parents=True)
    for name in ("packages/debian-12/Packages", layout.KIT, layout.INIT, layout.SBOM):
        (bundle / name).write_text(name)
    manifest = {
        "images": [{"reference": REFERENCE, "id": found, "file": "images/gateway.tar.gz"}],
        "models": [{"name": "m", "folder": "models/m", "hash": hashes["m"], "bytes": 1}],
        "systems": {"debian-12": {"packages": "packages/debian-12", "docker": "28"}},
        "kit": layout.KIT,
    }
    (bundle / layout.MANIFEST).write_text(json.dumps(manifest))
    write_sums(bundle)
    return bundle


def make_key(file: Path) -> Path:
    """Make a key that signs bundles."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    return file


def make_signed_bundle(home: Path, name: str = "bundle") -> tuple[Path, str]:
    """Make a complete bundle in `home`, signed by its key; return it and the signer's fingerprint."""
    bundle = make_bundle(home / name, home / f"{name}-source")
    key = home / "key"
    return bundle, signing.sign(bundle, key if key.is_file() else make_key(key))


def write_sums(bundle: Path) -> None:
    sums = {name: sha256(bundle / name) for name in layout.files(bundle)}
    write_atomically(bundle / layout.SUMS, layout.format_sums(sums))
