"""Tell what file managers, network storage and editors leave in folders; it is no part of a model."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

# In lower case; a directory stands for all that is in it.
PATTERNS = (
    # macOS
    ".ds_store", "._*", ".appledouble", ".lsoverride", ".spotlight-v100", ".trashes", ".fseventsd", ".temporaryitems",
    ".documentrevisions-v100", ".volumeicon.icns", ".apdisk", "__macosx", "icon\r",
    # Windows
    "thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin",
    "system volume information", "*:zone.identifier",
    # network storage and Linux
    "@eadir", "@tmp", "@recycle", "#recycle", "#snapshot", ".@__thumb", ".directory", ".trash", ".trash-*", ".nfs*",
    "lost+found",
    # editors
    "*~", "*.swp", "*.swo", ".#*", "#*#",
)  # fmt: skip


def is_litter(path: str | PurePath) -> bool:
    """Return whether the relative `path`, or a directory on it, has a name that such programs give."""
    return any(fnmatchcase(part.lower(), pattern) for part in PurePath(path).parts for pattern in PATTERNS)


def own_files(folder: Path) -> list[Path]:
    """Return every file below `folder` that is not litter, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not is_litter(path.relative_to(folder)))


def litter_in(_: str, names: Iterable[str]) -> set[str]:
    """Return those of `names` in a directory that are litter, as `shutil.copytree(ignore=...)` asks."""
    return {name for name in names if is_litter(name)}
