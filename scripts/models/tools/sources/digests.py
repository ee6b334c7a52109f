"""The hashes that sources publish: sha256, and the names that git gives to blobs."""

import hashlib
from pathlib import Path

from scripts.models.tools.sources import FetchError, Remote
from worker.models.loaders.lfs import POINTER

CHUNK = 1 << 20


def found(path: Path, kind: str) -> str:
    """The file's hash of a `kind`, "sha256" or "git", in lower-case hex."""
    digest = hashlib.sha256()
    if kind == "git":
        digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def good(path: Path, remote: Remote) -> bool:
    """Whether the file is there with what its source publishes of it, and that is enough to tell."""
    kind, _, wanted = remote.digest.partition(":")
    if not path.is_file() or not wanted or remote.size not in (None, path.stat().st_size):
        return False
    return found(path, kind).startswith(wanted)


def check(path: Path, remote: Remote) -> None:
    """Remove the file and raise FetchError when it is not what its source publishes."""
    kind, _, wanted = remote.digest.partition(":")
    with path.open("rb") as file:
        pointer = file.read(len(POINTER)) == POINTER
    actual = found(path, kind) if wanted else ""
    if pointer:
        path.unlink()
        raise FetchError(
            f"{path}: found a Git LFS pointer, needed the file that it stands for: give the address that this is "
            "downloaded from, or another mirror"
        )
    if not actual.startswith(wanted):
        path.unlink()
        raise FetchError(
            f"{path}: found {kind} {actual[: len(wanted)]}, needed {wanted}: it is removed; fetch it again, and from "
            "another mirror if that does not help"
        )
