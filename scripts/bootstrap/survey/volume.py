"""The model volume, mounted once where only this process sees it."""

import os
import stat
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.bootstrap import places
from scripts.bootstrap.checks import volume as checks
from scripts.bootstrap.checks.machine import mount_points
from scripts.bootstrap.machine import Result, ask, mount_info, reason, run
from scripts.bootstrap.record import Record
from scripts.bootstrap.server import Volume
from worker.contract.volume import SENTINEL

# The mount is in a namespace of its own, and ends with it.
TRY = 'mount -t "$1" -o "$2" "$3" "$4" && cd "$4" && eval "$5"'
READ = f"cat {SENTINEL} >../volume.sentinel && find . -maxdepth 1 -printf '%f\\0' >../volume.names"


def find_volume(source: str, work: Path, record: Record) -> Volume:
    """Return the volume of --models; raise CommandError if it cannot be mounted or lacks a model."""
    volume, name = _describe(source)
    if str(places.VOLUME) in mount_points(mount_info()) and not record.of("mount"):
        raise CommandError(f"found {places.VOLUME} already mounted, but not by this script: unmount it")
    _try_to_mount(volume, name, work)
    text = (work / "volume.sentinel").read_text(encoding="utf-8")
    names = os.fsdecode((work / "volume.names").read_bytes()).split("\0")
    checks.check_sentinel(text, names, name)
    return Volume(volume.what, volume.type, volume.options, text)


def _describe(source: str) -> tuple[Volume, str]:
    """Return the volume, and its source as messages call it."""
    if checks.is_nfs(source):
        return checks.nfs_volume(source), source
    if not os.path.exists(source):
        raise CommandError(
            f"found nothing at {source}, needed the model volume: "
            "name a device, an image file, a directory or HOST:/PATH with --models"
        )
    path = Path(source).resolve()
    checks.check_source(path)
    if path.is_dir():
        return checks.folder_volume(path), str(path)
    type_, uuid = (ask("blkid", "-p", "-o", "value", "-s", tag, path) for tag in ("TYPE", "UUID"))
    return checks.disk_volume(path, type_, uuid, stat.S_ISBLK(path.stat().st_mode)), str(path)


def _try_to_mount(volume: Volume, name: str, work: Path) -> None:
    journal = checks.UNREAD_JOURNAL.get(volume.type, "")
    tried = _mounted(volume, work, journal, READ)
    if tried.returncode and SENTINEL in tried.stderr:
        cleanly = ", and unmount it cleanly" if journal else ""
        raise CommandError(
            f"found no {SENTINEL} on {name}, needed a model volume: copy all of the bundle's models/ there{cleanly}"
        )
    if tried.returncode:
        raise CommandError(
            f"found a volume that cannot be mounted, {name} ({reason(tried)}): "
            "repair it, or name another one with --models"
        )
    # A file is mounted through a read-only loop device, so that this attempt changes nothing.
    if os.path.isfile(name) and not ask("losetup", "--associated", name):
        tried = _mounted(volume, work, "", "true")
        if tried.returncode:
            raise CommandError(
                f"found {name} not unmounted cleanly ({reason(tried)}), needed a cleanly unmounted file: "
                "mount it writable with `mount -o loop`, and unmount it"
            )


def _mounted(volume: Volume, work: Path, option: str, script: str) -> Result:
    """Mount the volume with one more option, and run a shell script in it."""
    place = work / "volume"
    place.mkdir(exist_ok=True)
    options = volume.options.replace(",nofail", "") + option
    inner = ["sh", "-c", TRY, "-", volume.type, options, volume.what, str(place), script]
    return run("unshare", "--mount", "--propagation", "private", *inner)
