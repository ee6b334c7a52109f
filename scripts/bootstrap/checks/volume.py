"""The model volume: how it is mounted, and whether it holds what its sentinel lists."""

import json
from collections.abc import Collection
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.bootstrap import places
from scripts.bootstrap.server import Volume
from worker.contract.volume import SENTINEL

OPTIONS = "ro,nodev,nosuid,noexec,nofail"
FILE_SYSTEMS = ("ext4", "xfs")
# What skips the recovery of a journal, which writes even on a read-only mount.
UNREAD_JOURNAL = {"ext4": ",noload", "xfs": ",norecovery"}


def is_nfs(source: str) -> bool:
    return ":/" in source


def nfs_volume(source: str) -> Volume:
    return Volume(source, "nfs", f"{OPTIONS},_netdev")


def folder_volume(source: Path) -> Volume:
    return Volume(str(source), "none", f"bind,{OPTIONS}")


def disk_volume(source: Path, type_: str, uuid: str, is_device: bool) -> Volume:
    """Return the volume of a device, or of an image file, with a file system of the type that blkid found."""
    if type_ not in FILE_SYSTEMS:
        raise CommandError(
            f"found {type_ or 'no file system'} on {source}, needed ext4 or xfs: create the volume again"
        )
    return Volume(f"UUID={uuid}", type_, OPTIONS) if is_device else Volume(str(source), type_, f"loop,{OPTIONS}")


def check_source(source: Path) -> None:
    if source == places.VOLUME:
        raise CommandError(f"found --models {source}, where the volume will be mounted: name the source of the models")
    if any(char.isspace() for char in str(source)):
        raise CommandError(f"found white space in {source}, needed a path without: rename it")


def check_sentinel(text: str, folders: Collection[str], source: str) -> None:
    """`text` is the sentinel's, `folders` are the names at the top of the volume."""
    try:
        sentinel = json.loads(text)
        names = list(sentinel["models"]) if sentinel["volume"] else None
    except (ValueError, LookupError, TypeError):
        names = None
    if names is None:
        raise CommandError(f"found a damaged {SENTINEL} on {source}: copy the bundle's models/ there again")
    if missing := [name for name in names if name not in folders]:
        raise CommandError(
            f"found no folder {missing[0]} on {source}, which its {SENTINEL} lists: copy the volume again"
        )


def unit_text(volume: Volume) -> str:
    """Return the mount unit."""
    what = volume.what.replace("UUID=", "/dev/disk/by-uuid/", 1) if volume.what.startswith("UUID=") else volume.what
    target = "remote-fs.target" if volume.type == "nfs" else "multi-user.target"
    lines = ["# Written by init-server.sh.", "[Unit]", "Description=Wanwu's models, read-only", "", "[Mount]"]
    lines += [f"What={what}", f"Where={places.VOLUME}", f"Type={volume.type}", f"Options={volume.options}"]
    return "\n".join([*lines, "", "[Install]", f"WantedBy={target}"])


def fstab_text(text: str, volume: Volume) -> str:
    """Return the text of fstab with the volume's line, in the place of any other for its mount point."""
    others = [line for line in text.splitlines() if line.startswith("#") or places.VOLUME.as_posix() != _target(line)]
    return "\n".join([*others, volume.fstab_line])


def _target(line: str) -> str:
    return next(iter(line.split()[1:]), "")
