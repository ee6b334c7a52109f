"""A kit as the first releases unpacked it, a folder with cluster.toml and models inside: these become the server's."""

import shutil
from pathlib import Path

from scripts.base.console import step
from scripts.bootstrap import places
from scripts.bootstrap.files import copy_exactly, draft_of, make_folder
from scripts.bootstrap.machine import must, succeeds
from scripts.bootstrap.record import Record
from scripts.bootstrap.survey.bundle import CLUSTER_IN_KIT, have_same_text


def migrate(record: Record) -> None:
    """Make the kit's cluster.toml and models the server's own, then move the kit aside."""
    cluster, installed = places.KIT / CLUSTER_IN_KIT, places.CLUSTER_FILE
    make_folder(record, installed.parent)
    if not installed.exists():
        _save(cluster, installed)
    elif not have_same_text(cluster, installed):
        other = installed.with_name(f"{installed.name}.of-old-kit")
        _save(cluster, other)
        step(f"{installed} is kept; the old kit's is now {other}")
    cluster.unlink(missing_ok=True)
    cluster.symlink_to(installed)
    _keep_models(places.KIT / "models")
    record.remember("moved", f"{places.KIT} {places.KIT_ASIDE}")
    shutil.rmtree(places.KIT_ASIDE, ignore_errors=True)
    places.KIT.rename(places.KIT_ASIDE)


def undo_moved(_: Record, what: str) -> None:
    source, target = what.split(" ", 1)
    if Path(target).is_dir() and not Path(source).exists():
        Path(target).rename(source)


def _save(source: Path, target: Path) -> None:
    copy_exactly(source, draft_of(target))
    draft_of(target).replace(target)


def _keep_models(models: Path) -> None:
    kept = places.MODELS
    if not models.is_dir() or models.is_symlink() or kept.exists():
        return
    draft = kept.with_name("models.new")
    shutil.rmtree(draft, ignore_errors=True)
    if not succeeds("cp", "--archive", "--link", models, draft):  # links save the copy, but not on two disks
        shutil.rmtree(draft, ignore_errors=True)
        must("the models could not be copied: {}", "cp", "--archive", models, draft)
    draft.rename(kept)
    shutil.rmtree(models)
    models.symlink_to(kept)
