"""The kit: this repository's files as git knows them, in an archive that depends on nothing but them."""

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
    """Its files, and what they are: `revision` is git's, with "-dirty" when files differ from it."""

    root: Path
    files: tuple[str, ...]
    version: str
    revision: str

    @property
    def bytes(self) -> int:
        return sum((self.root / name).stat().st_size for name in self.files)


def read_kit(root: Path = ROOT) -> Kit:
    """The kit in the checkout at `root`: what git tracks there, and new files that it does not ignore."""
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    files = sorted({name for name in listed if name and (root / name).is_file()})
    dirty = "-dirty" if _git(root, "status", "--porcelain").strip() else ""
    return Kit(root, tuple(files), VERSION, _git(root, "rev-parse", "HEAD").strip() + dirty)


def pack(kit: Kit, file: Path, draft: Path) -> None:
    """Write the archive; the same files make the same bytes."""
    with (
        draft.open("wb") as raw,
        gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name in kit.files:
            archive.add(kit.root / name, name, filter=_plain)
    draft.replace(file)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member


def _git(root: Path, *arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise CommandError(
            f"{root}: found no git checkout ({said.strip().splitlines()[0]}), needed one: git knows the kit's files"
        ) from error
