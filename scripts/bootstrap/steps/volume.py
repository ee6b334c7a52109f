"""Mount the model volume read-only, now and at every boot; no worker starts on an empty folder."""

from collections.abc import Iterator

from scripts.base.errors import CommandError
from scripts.bootstrap import places
from scripts.bootstrap.checks.machine import mount_points
from scripts.bootstrap.checks.volume import fstab_text, unit_text
from scripts.bootstrap.executor import Change, Step
from scripts.bootstrap.files import make_folder, put
from scripts.bootstrap.machine import mount_info, must, run, systemd_runs, text_of
from scripts.bootstrap.record import Record
from scripts.bootstrap.server import Server
from worker.contract.volume import SENTINEL

DROP_IN_TEXT = f"""# Written by init-server.sh: no worker starts on an empty folder.
[Unit]
RequiresMountsFor={places.VOLUME}"""


def changes(server: Server) -> Iterator[Change]:
    volume, record = server.volume, server.record
    if not places.VOLUME.is_dir():
        yield Change(f"create {places.VOLUME}", lambda: make_folder(record, places.VOLUME))
    if systemd_runs():
        wanted = {places.UNIT: unit_text(volume), places.DROP_IN: DROP_IN_TEXT}
    else:
        wanted = {places.FSTAB: fstab_text(text_of(places.FSTAB), volume)}
    written = [change for path, text in wanted.items() for change in put(record, path, text)]
    yield from written
    if written or not _is_mounted() or not _is_this(server):
        shown = f"{volume.what} on {places.VOLUME} ({volume.type}, {volume.options})"
        yield Change(f"mount {shown}", lambda: _mount(server))


def _is_mounted() -> bool:
    return str(places.VOLUME) in mount_points(mount_info())


def _is_this(server: Server) -> bool:
    return text_of(places.VOLUME / SENTINEL) == server.volume.sentinel


def _mount(server: Server) -> None:
    server.record.remember("mount")
    if _is_mounted():
        must(f"found {places.VOLUME} in use ({{}}): stop the workers with `make down`", "umount", places.VOLUME)
    if systemd_runs():
        fault = f"systemd could not mount {places.VOLUME}: {{}}"
        must(fault, "systemctl", "daemon-reload")
        must(fault, "systemctl", "enable", "--quiet", "--now", places.UNIT.name)
    else:
        must(f"{places.VOLUME} could not be mounted: {{}}", "mount", places.VOLUME)
    if not _is_this(server):
        raise CommandError(
            f"found a volume on {places.VOLUME} other than {server.volume.what}: see `findmnt {places.VOLUME}`"
        )


def _undo_mount(_: Record, what: str) -> None:
    if systemd_runs():
        places.DROP_IN.unlink(missing_ok=True)  # otherwise systemd would stop Docker together with the mount
        run("systemctl", "daemon-reload")
        run("systemctl", "disable", "--quiet", "--now", places.UNIT.name)
    if _is_mounted():
        fault = "found {0} in use ({{}}): stop the processes that use it, then run --uninstall again"
        must(fault.format(places.VOLUME), "umount", places.VOLUME)


STEP = Step(changes, {"mount": _undo_mount})
