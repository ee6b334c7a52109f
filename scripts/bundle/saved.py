"""Images as files: saved by the engine, packed, and told apart without one by the ID of what is inside."""

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

LEVEL = 1  # a worker's image becomes 0.37 of its size, with 75 MB/s; more effort brings little
CHUNK = 1 << 20
PACKED = 0.45  # of an image's size, for the estimate
UNREADABLE = (OSError, tarfile.TarError, zlib.error, ValueError, LookupError, TypeError, EOFError)


@dataclass(frozen=True)
class Inside:
    """What a saved image says of itself: its reference, and its ID, which is the sha256 of its configuration."""

    reference: str
    id: str


def file_of(reference: str) -> str:
    """Its path in the bundle. The tag names its content, so a file of this name is not made twice."""
    return f"{IMAGES}/{reference.replace(':', '-')}.tar.gz"


def size(reference: str) -> int:
    """About how many bytes its file takes."""
    return int(int(docker.run(["image", "inspect", "--format", "{{.Size}}", reference])) * PACKED)


def save(reference: str, bundle: Path, work: Path) -> Inside:
    """Have the image in the bundle, and return what its file says; raises CommandError. A finished file is kept."""
    file = bundle / file_of(reference)
    if file.is_file() and (kept := _kept(file, reference)):
        say(f"   {file.name} is there")
        return kept
    step(f"saving {reference}")
    file.parent.mkdir(exist_ok=True)
    draft = work / file.name
    _pack(reference, draft)
    found = inside(draft)
    if found.reference != reference:
        raise CommandError(f"{reference}: `docker save` wrote {found.reference}: see `docker image ls`")
    draft.replace(file)
    say(f"   {file.name}, {file.stat().st_size / 1e6:.0f} MB")
    return found


def inside(file: Path) -> Inside:
    """What the file holds; raises one of UNREADABLE when it holds no image, or one that is damaged."""
    small = {}
    with tarfile.open(file, "r|gz") as archive:
        for member in archive:
            if member.isfile() and member.size < 1_000_000:
                small[member.name] = archive.extractfile(member).read()  # type: ignore[union-attr]
    (listed,) = json.loads(small["manifest.json"])
    (reference,) = listed["RepoTags"]
    found = hashlib.sha256(small[listed["Config"]]).hexdigest()
    if found not in listed["Config"]:
        raise ValueError(f"its configuration is {listed['Config']}, but has the sum {found}")
    return Inside(reference, f"sha256:{found}")


def _kept(file: Path, reference: str) -> Inside | None:
    """What a file of an earlier run holds, when it is whole and is the image that the engine has now."""
    try:
        found = inside(file)
    except UNREADABLE:
        return None
    current = docker.run(["image", "inspect", "--format", "{{.Id}}", reference]).strip()
    return found if found == Inside(reference, current) else None


def _pack(reference: str, draft: Path) -> None:
    command = ["docker", "save", reference]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as saving,
        draft.open("wb") as raw,
        gzip.GzipFile("", "wb", LEVEL, raw, mtime=0) as packed,
    ):
        for chunk in iter(partial(saving.stdout.read, CHUNK), b"") if saving.stdout else ():
            packed.write(chunk)
        said = saving.stderr.read().decode().strip() if saving.stderr else ""
    if saving.returncode:
        raise CommandError(f"{reference}: `docker save` failed: {said}")
