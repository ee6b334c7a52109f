"""Find the images that `make classify` sends: files, folders, globs, or a list on standard input."""

import glob
import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scripts.base.console import printable, warn
from scripts.base.errors import CommandError
from scripts.base.image_files import is_image_file
from worker.contract.litter import is_litter

STDIN = "-"
SHOWN = 5  # names of files that are passed over


@dataclass
class Found:
    """The images, in order and each once; `passed_over` are the files in folders that are not images."""

    images: dict[str, None] = field(default_factory=dict)
    passed_over: list[str] = field(default_factory=list)

    def warn_of_others(self, out: Path | None) -> None:
        """Name the files that are passed over, but for the results file `out`."""
        others = [name for name in self.passed_over if not out or os.path.realpath(name) != os.path.realpath(out)]
        if others:
            more = ", ..." if len(others) > SHOWN else ""
            files = "1 file that is no image" if len(others) == 1 else f"{len(others)} files that are no images"
            warn(f"passed over {files}: {', '.join(map(printable, others[:SHOWN]))}{more}")


def find(asked: str) -> Found:
    """Return the images that IMAGES asks for; raise CommandError if there are none.

    A file that is named is sent whatever it is called; of a folder, what is an image by its name or its first bytes.
    """
    found = Found()
    for path in _from_stdin() if asked == STDIN else named(asked):
        for name in files(path, found.passed_over) if path.is_dir() else [str(path)]:
            found.images[name] = None
    if not found.images:
        where = "standard input" if asked == STDIN else asked
        other = f" but {len(found.passed_over)} other files" if found.passed_over else ""
        raise CommandError(
            f"{printable(where)}: found no image{other}, needed one: name a file or a folder with images"
        )
    return found


def named(asked: str) -> list[Path]:
    """Return the paths that `asked` names: one path or glob, or several with spaces between, quoted as for a shell."""
    if not asked:
        raise CommandError(
            "IMAGES: found nothing, needed a file, a folder, a glob in quotes, or - for a list on standard input: "
            "set IMAGES=DIR"
        )
    if whole := _expanded(asked):
        return whole
    try:
        words = shlex.split(asked)
    except ValueError:
        words = []
    paths = [(word, _expanded(word)) for word in words if len(words) > 1]
    missing = [word for word, matches in paths if not matches] if paths else [asked]
    if missing:
        raise CommandError(*(f"{printable(word)}: {_missing(word)}: correct IMAGES=" for word in missing))
    return [path for _, matches in paths for path in matches]


def _missing(word: str) -> str:
    if glob.has_magic(word):
        return "found no file that the pattern matches, needed one"
    return "found no such file or folder, needed one"


def _expanded(word: str) -> list[Path]:
    path = os.path.normpath(os.path.expanduser(word))
    if os.path.lexists(path):
        return [Path(path)]
    return sorted(Path(match) for match in glob.glob(path, recursive=True)) if glob.has_magic(path) else []


def _from_stdin() -> Iterator[Path]:
    """Yield the paths of a list with a name per line, or with NUL between them as `find -print0` writes it."""
    data = sys.stdin.buffer.read()
    names: Iterable[bytes] = data.split(b"\0") if b"\0" in data else (line.rstrip(b"\r") for line in data.split(b"\n"))
    yield from (Path(os.path.normpath(os.fsdecode(name))) for name in names if name)


def files(folder: Path, passed_over: list[str]) -> Iterator[str]:
    """Yield the images below `folder`, sorted; add its other files to `passed_over`."""
    faults: list[OSError] = []
    for parent, folders, names in os.walk(folder, onerror=faults.append):
        folders[:] = sorted(name for name in folders if not is_litter(name))
        for name in sorted(name for name in names if not is_litter(name)):
            path = os.path.normpath(os.path.join(parent, name))
            if _is_image(path):
                yield path
            else:
                passed_over.append(path)
    if faults:
        raise CommandError(
            *(f"{printable(fault.filename)}: found {fault.strerror}, needed a folder to read" for fault in faults)
        )


def _is_image(path: str) -> bool:
    """Return whether to send the file; one that cannot be read is sent, so that the failure is reported."""
    try:
        return os.path.isfile(path) and is_image_file(Path(path))
    except OSError:
        return True
