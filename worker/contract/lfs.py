"""Detect Git LFS pointers, the few lines of text in place of a file that Git LFS has not fetched."""

from pathlib import Path

from worker.contract.toml_reader import ModelError

POINTER = b"version https://git-lfs"


def refuse_pointer(path: Path) -> None:
    """Raise ModelError if `path` does not exist or is a Git LFS pointer."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file; check the path")
    with path.open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise ModelError(f"{path}: a Git LFS pointer, not the weights; fetch them with `git lfs pull`")
