"""Detect the loader of a local model: the first whose declaration recognises it."""

from collections.abc import Callable
from pathlib import Path

from worker.contract.litter import is_litter
from worker.contract.loaders import LOADERS
from worker.contract.model_files import STATE_DICTS
from worker.contract.toml_reader import ModelError
from worker.models.loaders import content, refused


def resolve_snapshot(path: Path) -> Path:
    """Return `path`, or the snapshot that its refs/main names if it is a model in a Hugging Face cache.

    Raise ModelError if the snapshot is missing.
    """
    if not (path / "snapshots").is_dir():
        return path
    reference = path / "refs/main"
    if not reference.is_file():
        raise ModelError(f"{reference}: not found; name one of the folders in {path / 'snapshots'} instead")
    folder = path / "snapshots" / reference.read_text().strip()
    if not folder.is_dir():
        raise ModelError(f"{folder}: not found, though {reference} names it; download the model again")
    return folder


def detect_loader(path: Path, recognises: Callable[[str], bool]) -> str:
    """Return the loader for the file or folder `path`. Raise ModelError if it cannot be detected.

    `recognises` says of a loader, by name, whether it recognises a file whose suffix other loaders read, too.
    """
    if path.is_dir():
        return _of_folder(path, recognises)
    if path.suffix in STATE_DICTS and content.kind_of(path) == content.PT2:
        return content.PT2
    candidates = readers(path.suffix) or _detecting(path)
    if not candidates:
        refused.refuse(path, suffixes())
        candidates = readers(STATE_DICTS[0]) if content.is_weights(path) else []
    if len(candidates) > 1:
        candidates = [name for name in candidates if recognises(name)] or _detecting(path)
    if candidates:
        return candidates[0]
    raise ModelError(f"{path}: not a known kind of file; needed {', '.join(suffixes())}, or a folder")


def readers(suffix: str) -> list[str]:
    """Return the loaders that read single files with this `suffix`, by precedence."""
    return [name for name, loader in LOADERS.items() if suffix in loader.suffixes]


def suffixes() -> tuple[str, ...]:
    """Return the suffixes of all single files that loaders read."""
    return tuple(dict.fromkeys(suffix for loader in LOADERS.values() for suffix in loader.suffixes))


def find_file(path: Path, endings: tuple[str, ...]) -> Path:
    """Return `path` if it is a file, or the only file in the folder with a suffix in `endings`.

    Raise ModelError if the folder has none or several.
    """
    if path.is_file():
        return path
    matches = sorted(file for file in _files(path) if file.suffix in endings)
    if len(matches) != 1:
        names = ", ".join(file.name for file in matches) or "none"
        raise ModelError(f"{path}: needed one file ending in {' or '.join(endings)}, found {names}; name the file")
    return matches[0]


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if not is_litter(file.name)]


def _detecting(path: Path) -> list[str]:
    return [name for name, loader in LOADERS.items() if loader.detects(path)]


def _of_folder(path: Path, recognises: Callable[[str], bool]) -> str:
    if detecting := _detecting(path):
        return detecting[0]
    unambiguous = {suffix: names[0] for suffix in suffixes() if len(names := readers(suffix)) == 1}
    kinds = {unambiguous[file.suffix] for file in _files(path) if file.suffix in unambiguous}
    if len(kinds) == 1:
        return kinds.pop()
    if not kinds and sum(file.suffix in STATE_DICTS for file in _files(path)) == 1:
        return detect_loader(find_file(path, STATE_DICTS), recognises)
    refused.refuse(path, suffixes())
    markers = ", ".join(f"{loader.marker} ({name})" for name, loader in LOADERS.items() if loader.marker)
    raise ModelError(
        f"{path}: cannot tell what kind of model this is; "
        f"needed {markers}, or a {', '.join(unambiguous)} file: name the loader"
    )
