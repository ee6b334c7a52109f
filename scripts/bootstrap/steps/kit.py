"""Unpack the bundle's kit into a folder of its own, and link it; data is outside of the kits."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from scripts.bootstrap import places
from scripts.bootstrap.executor import Change, Step
from scripts.bootstrap.files import draft_of, make_folder, replace, says
from scripts.bootstrap.machine import must, text_of
from scripts.bootstrap.record import Record
from scripts.bootstrap.server import Server
from scripts.bootstrap.steps.early_kit import migrate, undo_moved
from worker.contract.files import sha256


def changes(server: Server) -> Iterator[Change]:
    kit, record = server.kit, server.record
    migrating = places.KIT.is_dir() and not places.KIT.is_symlink()
    if migrating:
        moved = f"move the cluster.toml of {places.KIT} to {places.CLUSTER_FILE}, and that kit to {places.KIT_ASIDE}"
        yield Change(moved, lambda: migrate(record))
    if not says(kit.folder / ".sha256", kit.sum):
        yield Change(f"unpack the kit into {kit.folder}", lambda: _unpack(server))
    if not migrating:
        if not places.MODELS.is_dir():
            yield Change(f"create {places.MODELS}", lambda: make_folder(record, places.MODELS))
        if not places.CLUSTER_FILE.exists():
            yield Change(f"write {places.CLUSTER_FILE}, which is yours to edit from now on", lambda: _seed(server))
    if kit.before != kit.folder.name:
        yield Change(f"link {places.KIT} to {kit.folder}", lambda: _link(server))


def _unpack(server: Server) -> None:
    kit, record = server.kit, server.record
    make_folder(record, places.KITS)
    record.remember("tree", kit.folder)
    record.remember("tree", places.RUN)
    new = kit.folder.with_name(f"{kit.folder.name}.new")
    for folder in (new, kit.folder):
        shutil.rmtree(folder, ignore_errors=True)
    new.mkdir()
    must("the kit could not be unpacked: {}", "tar", "-xzf", server.bundle.kit, "-C", new, "--no-same-owner")
    own = new / "compose/cluster.toml"
    own.rename(own.with_name("cluster.default.toml"))
    own.symlink_to(places.CLUSTER_FILE)
    for data in (places.RUN, places.MODELS, places.WHEELS):
        (new / data.name).symlink_to(data)
    (new / places.CREATED).write_text(f"{server.bundle.created}\n")
    (new / ".sha256").write_text(f"{kit.sum}\n")
    new.rename(kit.folder)


def _seed(server: Server) -> None:
    """Write the operator's cluster.toml: the one of --cluster, or the kit's default."""
    make_folder(server.record, places.CLUSTER_FILE.parent)
    server.record.remember("own", places.CLUSTER_FILE)
    source = Path(server.options.cluster or server.kit.folder / "compose/cluster.default.toml")
    text = source.read_text(encoding="utf-8")
    # As `sha256sum <FILE` prints it, which earlier releases wrote. Without it, the file of a killed run would be taken
    # for the operator's, so it comes first.
    places.CLUSTER_SUM.write_text(f"{hashlib.sha256(text.encode()).hexdigest()}  -\n")
    replace(places.CLUSTER_FILE, text)


def _link(server: Server) -> None:
    server.record.add("link", server.kit.before)
    _point_to(server.kit.folder.name)


def _point_to(name: str) -> None:
    """Make the kit in the folder of this name the one that serves, at once."""
    draft = places.KIT.with_name("kit.new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(name)
    os.replace(draft, places.KIT)


def _undo_link(_: Record, before: str) -> None:
    if before and (places.KITS / before).is_dir():
        _point_to(before)
    elif places.KIT.is_symlink():
        places.KIT.unlink()
        places.KIT.with_name("kit.new").unlink(missing_ok=True)


def _undo_own(_: Record, what: str) -> None:
    """Remove the file unless somebody has edited it since."""
    path = Path(what)
    draft_of(path).unlink(missing_ok=True)
    if path.exists() and sha256(path) == text_of(places.CLUSTER_SUM)[:64]:
        path.unlink()


STEP = Step(changes, {"link": _undo_link, "own": _undo_own, "moved": undo_moved})
