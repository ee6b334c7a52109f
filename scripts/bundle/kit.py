"""The kit: this repository's files, as git lists them, in a reproducible archive."""

import gzip
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from worker.contract.version import VERSION


@dataclass(frozen=True)
class Kit:
    """The kit's files, version and revision: git's commit, with "-dirty" if files differ from it."""

    root: Path
    files: tuple[str, ...]
    version: str
    revision: str

    @property
    def bytes(self) -> int:
        return sum((self.root / name).stat().st_size for name in self.files)


def read_kit(root: Path = ROOT) -> Kit:
    """Return the kit of the checkout at `root`: its tracked files, and untracked ones that git does not ignore."""
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    files = sorted({name for name in listed if name and (root / name).is_file()})
    dirty = "-dirty" if _git(root, "status", "--porcelain").strip() else ""
    return Kit(root, tuple(files), VERSION, _git(root, "rev-parse", "HEAD").strip() + dirty)


def pack(kit: Kit, file: Path, draft: Path) -> None:
    """Write the archive to `draft` and move it to `file`; the same files give the same bytes."""
    with (
        draft.open("wb") as raw,
        gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name in kit.files:
            archive.add(kit.root / name, name, filter=_normalised)
    draft.replace(file)


def _normalised(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return the member without owner, time and permissions of this checkout."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member


def _git(root: Path, *arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        message = getattr(error, "stderr", None) or str(error)
        raise CommandError(
            f"{root}: found no git checkout ({message.strip().splitlines()[0]}), "
            "needed one to list the kit's files: run this in a clone of the repository"
        ) from error
