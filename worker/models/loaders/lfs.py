"""Git LFS leaves a few lines of text in place of a file that it has not fetched."""

from pathlib import Path

from worker.contract.fields import ModelError

POINTER = b"version https://git-lfs"


def refuse_pointer(path: Path) -> None:
    """Raise ModelError when `path` is not there, or holds a pointer in place of what it should."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file; check the path")
    with path.open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise ModelError(f"{path}: a Git LFS pointer, not the weights; fetch them with `git lfs pull`")
