"""`make model-prepare`: measure a model on this machine, in a copy that replaces its folder at the end."""

import os
import shutil
from pathlib import Path

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster
from scripts.cluster.hardware import read_hardware
from scripts.host.environments import TOOLS
from scripts.host.venv import ensure
from scripts.models import add as model_add
from scripts.models import model_store
from scripts.models.model_store import StoredModel
from scripts.models.options import PrepareOptions
from scripts.models.summary import read_summary
from worker.contract.litter import litter_in


def prepare(options: PrepareOptions, cluster: Cluster, lock: Path) -> None:
    """Prepare the folder called `options.name`, or every served folder if the name is empty.

    `lock` is that of the service. Raise CommandError if that fails; the folder being prepared then stays unchanged.
    """
    models, name = options.models, options.name
    entries = [
        entry for entry in model_store.select(model_store.entries(models, cluster), name) if name or entry.served
    ]
    faults = model_add.calibration_faults(options.calibration)
    if faults := faults + model_add.effort_faults(options.prepare, model_add.QUICK):
        raise CommandError(*faults)
    model_add.set_umask_and_signals()
    python = ensure(TOOLS, nvidia=bool(read_hardware().gpus))
    for entry in entries:
        _prepare(models, entry, python, options, lock)
    if served := [entry.name for entry in entries if entry.served]:
        say(f"\nprepared: run `make rollout` to serve {', '.join(served)} as prepared")


def _prepare(models: Path, entry: StoredModel, python: Path, options: PrepareOptions, lock: Path) -> None:
    target = entry.folder.resolve()
    step(f"preparing {entry.name}")
    if fault := read_summary(target).fault:
        raise CommandError(fault)
    with model_add.staging_folder(target) as folder:
        shutil.copytree(target, folder, copy_function=_link_or_copy, dirs_exist_ok=True, ignore=litter_in)
        model_add.prepare(python, folder, target, options.calibration, options.prepare == model_add.QUICK)
        model_add.publish(folder, target, models, lock, "model-prepare")


def _link_or_copy(source: str, target: str) -> None:
    """Hard-link `source` as `target`, or copy it if the file system or the file's owner prevents a link."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
