"""Check files against the hashes that sources publish: sha256, and the ids of git blobs."""

import hashlib
from pathlib import Path

from scripts.models.tools.sources import FetchError, Remote
from worker.contract.lfs import POINTER

CHUNK_BYTES = 1 << 20


def compute(path: Path, kind: str) -> str:
    """Return the file's hash of a `kind`, "sha256" or "git", in lower-case hex."""
    digest = hashlib.sha256()
    if kind == "git":
        digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def is_complete(path: Path, remote: Remote) -> bool:
    """Tell whether the file exists with the published size and hash; False if no hash is published."""
    kind, _, expected = remote.digest.partition(":")
    if not path.is_file() or not expected or remote.size not in (None, path.stat().st_size):
        return False
    return compute(path, kind).startswith(expected)


def check(path: Path, remote: Remote) -> None:
    """Remove the file and raise FetchError if it is a Git LFS pointer or differs from the published hash."""
    kind, _, expected = remote.digest.partition(":")
    with path.open("rb") as file:
        is_pointer = file.read(len(POINTER)) == POINTER
    if is_pointer:
        path.unlink()
        raise FetchError(
            f"{path}: found a Git LFS pointer, needed the file that it stands for: use the file's download address, "
            "or another mirror"
        )
    digest = compute(path, kind) if expected else ""
    if not digest.startswith(expected):
        path.unlink()
        raise FetchError(
            f"{path}: found {kind} {digest[: len(expected)]}, needed {expected}: the file was removed; fetch it again, "
            "if necessary from another mirror"
        )
