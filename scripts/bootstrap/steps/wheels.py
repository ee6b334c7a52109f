"""Keep the bundle's wheels, from which a kit makes its Python environments: to teach, and to add models."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from scripts.bootstrap import places
from scripts.bootstrap.executor import Change, Step
from scripts.bootstrap.files import make_folder
from scripts.bootstrap.machine import must, succeeds
from scripts.bootstrap.server import Server
from scripts.bundle.layout import WHEELS


def changes(server: Server) -> Iterator[Change]:
    carried = server.bundle.folder / WHEELS
    if carried.is_dir() and listing(carried) != listing(places.WHEELS):
        yield Change(f"copy the bundle's wheels to {places.WHEELS}", lambda: _copy(server, carried))


def listing(folder: Path) -> dict[str, int]:
    """Return the size of each file below the folder; the name of a wheel says which one it is."""
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def _copy(server: Server, carried: Path) -> None:
    make_folder(server.record, places.KEPT)
    server.record.remember("tree", places.WHEELS)
    new = places.WHEELS.with_name(f"{WHEELS}.new")
    shutil.rmtree(new, ignore_errors=True)
    if not succeeds("cp", "--recursive", "--link", carried, new):  # links save the copy, but not on two disks
        shutil.rmtree(new, ignore_errors=True)
        must("the wheels could not be copied: {}", "cp", "--recursive", carried, new)
    shutil.rmtree(places.WHEELS, ignore_errors=True)
    new.rename(places.WHEELS)


STEP = Step(changes)
