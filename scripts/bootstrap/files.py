"""Folders and files that are recorded before they are made, so that what was there before can be restored."""

import hashlib
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from scripts.base.console import step
from scripts.bootstrap import places
from scripts.bootstrap.checks.machine import mounts_below
from scripts.bootstrap.executor import Change, Undo
from scripts.bootstrap.machine import mount_info, must, text_of
from scripts.bootstrap.record import Record
from worker.contract.files import READABLE, sha256


def says(path: Path, text: str) -> bool:
    """Return whether the file has this text, whatever newlines end it."""
    try:
        return path.read_text(encoding="utf-8").rstrip("\n") == text.rstrip("\n")
    except (OSError, UnicodeError):
        return False


def put(record: Record, path: Path, text: str) -> list[Change]:
    """Return the change that writes the file, or none if it already has this text."""
    return [] if says(path, text) else [Change(f"write {path}", lambda: write(record, path, text))]


def make_folder(record: Record, path: Path) -> None:
    """Make the folder and those above it, each of them recorded."""
    if not path.is_dir():
        make_folder(record, path.parent)
        record.remember("dir", path)
        path.mkdir(0o755)


def write(record: Record, path: Path, text: str) -> None:
    """Write the file, whose earlier content is kept, and with it the mode."""
    _remember(record, path)
    text = text.rstrip("\n") + "\n"
    # Before the file: a killed run may leave either text, and neither is somebody else's.
    _note(path, hashlib.sha256(text.encode()).hexdigest())
    replace(path, text)


def replace(path: Path, text: str) -> None:
    """Replace the file by one with this text, which has its mode, at once."""
    draft = draft_of(path)
    draft.write_text(text, encoding="utf-8")
    draft.chmod(stat.S_IMODE(path.stat().st_mode) if path.exists() else READABLE)
    draft.replace(path)


def draft_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.wanwu-new")


def copy_exactly(source: Path, target: Path) -> None:
    """Copy the file with its times, mode and owner."""
    shutil.copy2(source, target, follow_symlinks=False)
    found = source.lstat()
    os.chown(target, found.st_uid, found.st_gid, follow_symlinks=False)


def _remember(record: Record, path: Path) -> None:
    if {("file", str(path)), ("kept", str(path))} & set(record.entries()):
        return
    if path.exists():
        kept = _kept(path)
        kept.parent.mkdir(parents=True, exist_ok=True)
        copy_exactly(path, kept)
        record.remember("kept", path)
    else:
        make_folder(record, path.parent)
        record.remember("file", path)


def _kept(path: Path) -> Path:
    return places.STATE / "kept" / path.relative_to("/")


def _written(path: Path) -> Path:
    """Return the file with the sha256 of each text that was written to `path`, a line each."""
    return places.STATE / f"{str(path).replace('/', '_')}.written"


def _note(path: Path, digest: str) -> None:
    noted = text_of(_written(path))
    if digest not in noted.splitlines():
        _written(path).write_text(f"{noted}{digest}\n")


def _undo_folder(_: Record, what: str) -> None:
    with suppress(OSError):  # others may have put something there
        Path(what).rmdir()


def _undo_file(_: Record, what: str) -> None:
    path = Path(what)
    path.unlink(missing_ok=True)
    draft_of(path).unlink(missing_ok=True)


def _undo_kept(_: Record, what: str) -> None:
    """Restore the file unless somebody has changed it since."""
    path, kept, written = Path(what), _kept(Path(what)), _written(Path(what))
    draft_of(path).unlink(missing_ok=True)
    known = {sha256(kept), *text_of(written).splitlines()}
    if path.exists() and written.exists() and sha256(path) not in known:
        other = path.with_name(f"{path.name}.before-wanwu")
        copy_exactly(kept, other)
        step(f"{path} has been changed since: it is left as it is; its original is now {other}")
    else:
        copy_exactly(kept, path)


def _undo_tree(_: Record, what: str) -> None:
    """A killed Docker may leave mounts below its own folders; nothing else is ever mounted there."""
    for point in mounts_below(mount_info(), what):
        must(f"found {point} still mounted ({{}}): unmount it, and run --uninstall again", "umount", point)
    must("the folder was not removed: {}", "rm", "-rf", "--one-file-system", what, f"{what}.new")


UNDO: dict[str, Undo] = {"dir": _undo_folder, "file": _undo_file, "kept": _undo_kept, "tree": _undo_tree}
