"""Keep the kit that serves and the one before it, or the newest other one; remove the rest.

This is the last step, since a removed kit cannot be restored.
"""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from scripts.base.console import step
from scripts.bootstrap import places
from scripts.bootstrap.executor import Change, Step
from scripts.bootstrap.machine import must, text_of
from scripts.bootstrap.server import Server


def changes(server: Server) -> Iterator[Change]:
    others = _others(server.kit.folder)
    before = _before(server, others)
    for kit in others:
        if kit.name == before:
            continue
        if _is_in_use(kit):
            step(f"{kit} is kept, since something still runs from it")
        else:
            yield Change(f"remove the old kit {kit}", partial(_remove, kit))


def _others(current: Path) -> list[Path]:
    """Return the other kits, the newest first."""
    kits = [kit for kit in places.KITS.glob("kit-*") if kit.suffix != ".new" and kit != current]
    return sorted(kits, key=lambda kit: kit.lstat().st_mtime, reverse=True)


def _before(server: Server, others: list[Path]) -> str:
    """Return the name of the kit that served before the current one."""
    linked = [server.kit.before, *server.record.of("link")[::-1]]
    before = next((name for name in linked[:2] if name != server.kit.folder.name), "")
    return before if before and (places.KITS / before).is_dir() else others[0].name if others else ""


def _is_in_use(kit: Path) -> bool:
    """Return whether a process works in the kit's folder, or a container mounts a part of it."""
    for process in Path("/proc").glob("[0-9]*"):
        if f"{kit.parent.name}/{kit.name}/" in text_of(process / "mountinfo"):
            return True
        try:
            if f"{os.readlink(process / 'cwd')}/".startswith(f"{kit}/"):
                return True
        except OSError:
            continue
    return False


def _remove(kit: Path) -> None:
    must("the kit was not removed: {}", "rm", "-rf", "--one-file-system", kit)


STEP = Step(changes)
