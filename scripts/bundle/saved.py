"""Docker images as compressed files, identified by the ID inside, so that no engine is needed to check them."""

import gzip
import hashlib
import json
import subprocess
import tarfile
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.bundle.layout import IMAGES
from scripts.host import docker

GZIP_LEVEL = 1  # compresses a worker's image to 0.37 of its size at 75 MB/s; higher levels gain little
CHUNK_BYTES = 1 << 20
COMPRESSION = 0.45  # of an image's size, for the estimate
UNREADABLE = (OSError, tarfile.TarError, zlib.error, ValueError, LookupError, TypeError, EOFError)


@dataclass(frozen=True)
class SavedImage:
    """The reference and the ID of a saved image; the ID is the sha256 of its configuration."""

    reference: str
    id: str


def file_for(reference: str) -> str:
    """Return the image's path in the bundle. The tag is a hash of its content, and so the path is unique."""
    return f"{IMAGES}/{reference.replace(':', '-')}.tar.gz"


def size(reference: str) -> int:
    """Return the approximate size of the image's file in bytes."""
    return int(int(docker.run(["image", "inspect", "--format", "{{.Size}}", reference])) * COMPRESSION)


def save(reference: str, bundle: Path, work: Path) -> SavedImage:
    """Save the image in the bundle unless its file is already there; raise CommandError."""
    file = bundle / file_for(reference)
    if file.is_file() and (current := _read_current(file, reference)):
        say(f"   {file.name} is already there")
        return current
    step(f"saving {reference}")
    file.parent.mkdir(exist_ok=True)
    draft = work / file.name
    _pack(reference, draft)
    image = read_saved_image(draft)
    if image.reference != reference:
        raise CommandError(f"`docker save`: found {image.reference}, needed {reference}: see `docker image ls`")
    draft.replace(file)
    say(f"   {file.name}, {file.stat().st_size / 1e6:.0f} MB")
    return image


def read_saved_image(file: Path) -> SavedImage:
    """Return the image in the file; raise one of UNREADABLE if the file holds no image, or a damaged one."""
    small_files = {}
    with tarfile.open(file, "r|gz") as archive:
        for member in archive:
            if member.isfile() and member.size < 1_000_000:
                small_files[member.name] = archive.extractfile(member).read()  # type: ignore[union-attr]
    (entry,) = json.loads(small_files["manifest.json"])
    (reference,) = entry["RepoTags"]
    digest = hashlib.sha256(small_files[entry["Config"]]).hexdigest()
    if digest not in entry["Config"]:
        raise ValueError(f"found configuration {entry['Config']} with sha256 {digest}")
    return SavedImage(reference, f"sha256:{digest}")


def _read_current(file: Path, reference: str) -> SavedImage | None:
    """Return the image in a file of an earlier run if it is complete and the engine's current one, else None."""
    try:
        image = read_saved_image(file)
    except UNREADABLE:
        return None
    current = docker.run(["image", "inspect", "--format", "{{.Id}}", reference]).strip()
    return image if image == SavedImage(reference, current) else None


def _pack(reference: str, draft: Path) -> None:
    command = ["docker", "save", reference]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as saving,
        draft.open("wb") as raw,
        gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) as packed,
    ):
        for chunk in iter(partial(saving.stdout.read, CHUNK_BYTES), b"") if saving.stdout else ():
            packed.write(chunk)
        message = saving.stderr.read().decode().strip() if saving.stderr else ""
    if saving.returncode:
        raise CommandError(f"{reference}: `docker save` failed: {message}")
