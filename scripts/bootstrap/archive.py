"""A backup: one archive with the files of a server that its bundle does not have, each kind in a folder of its own."""

import filecmp
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from scripts.base.errors import CommandError

CONFIG, MODELS, SWARM, ABOUT = "config", "models", "swarm", "backup.json"
FORMAT = 1
PRIVATE = 0o600  # it holds keys
UNREADABLE = (OSError, tarfile.TarError, zlib.error, ValueError, LookupError, TypeError, EOFError)


def write(out: Path, folders: Mapping[str, Path], about: Mapping[str, object]) -> None:
    """Write `folders` by the names that they get, links followed, and what is said about them; raise CommandError."""
    draft = out.parent / f".{out.name}.new"
    try:
        with TemporaryDirectory(prefix="wanwu-backup-") as name:
            (Path(name) / ABOUT).write_text(json.dumps({"format": FORMAT, **about}))
            draft.unlink(missing_ok=True)
            draft.touch(PRIVATE, exist_ok=False)
            with tarfile.open(draft, "w:gz", dereference=True, compresslevel=1) as archive:
                archive.add(Path(name) / ABOUT, ABOUT)
                for inside, folder in folders.items():
                    archive.add(folder, inside)
        draft.replace(out)
    except OSError as error:
        raise CommandError(f"{out}: {error.strerror}: needed a file that can be written: set OUT=") from error
    finally:
        with suppress(OSError):
            draft.unlink()


@contextmanager
def unpacked(file: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield a folder with all that the archive holds, and what it says of itself; raise CommandError if it is none."""
    with TemporaryDirectory(prefix="wanwu-restore-") as name:
        folder = Path(name)
        try:
            with tarfile.open(file, "r:gz") as archive:
                for member in archive:
                    archive.extract(_own(member), folder)
            about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            found = about["format"]
        except UNREADABLE as error:
            raise CommandError(f"{file}: {error}: needed a whole archive that `make backup` wrote") from error
        if found != FORMAT:
            raise CommandError(
                f"{file}: found format {found}, needed {FORMAT}: use the kit that wrote it, or a newer one"
            )
        yield folder, about


def _own(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return the member as a file or folder of this account; raise ValueError if it is something else, or leads out.

    tarfile has a filter for that, but not yet in the Python of Debian 12.
    """
    parts = PurePosixPath(member.name).parts
    if not (member.isfile() or member.isdir()) or member.name.startswith("/") or ".." in parts:
        raise ValueError(f"found {member.name!r}, needed files and folders")
    member.uid, member.gid, member.uname, member.gname = os.geteuid(), os.getegid(), "", ""
    member.mode = 0o700 if member.isdir() else member.mode & 0o755
    return member


def put_back(folder: Path, target: Path) -> list[str]:
    """Copy the files of `folder` to `target`, and return the names of those that this changed.

    A file that was there and differs stays beside the new one, as NAME.before-restore.
    """
    changed = []
    for source in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = source.relative_to(folder)
        place = target / name
        if place.is_file() and filecmp.cmp(source, place, shallow=False):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            place.replace(place.with_name(f"{place.name}.before-restore"))
        shutil.copy2(source, place)
        changed.append(str(name))
    return changed
