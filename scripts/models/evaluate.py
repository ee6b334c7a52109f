"""`make evaluate`: measure a model's accuracy on labelled images and report it as a table, JSON and an HTML page.

The report is written to a draft folder, which replaces an earlier report at the end.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, Cluster
from scripts.cluster.hardware import read_hardware
from scripts.host.environments import ensure, serving
from scripts.models import add as model_add
from scripts.models import model_store
from scripts.models import tools as model_tools
from scripts.models.model_store import ModelSummary
from scripts.models.options import EvaluateOptions
from scripts.models.tools import EvaluateTask
from scripts.models.tools.evaluate import FORMAT, JSON, PAGE
from worker.contract.engines import ENGINES
from worker.contract.machine import machine_kind

OUT = ROOT / "evaluation"


def evaluate(options: EvaluateOptions, cluster: Cluster) -> None:
    """Evaluate a model on labelled images and write the report to `options.out`, by default OUT/<model's name>.

    Raise CommandError if the options are wrong or no image can be evaluated; an earlier report then stays unchanged.
    """
    entries = model_store.entries(options.models, cluster)
    if not options.name:
        raise CommandError(f"NAME: found nothing, needed one of {', '.join(entry.name for entry in entries)}")
    entry = model_store.named(entries, options.name)
    images, target = _images_path(options.images), Path(options.out).absolute() if options.out else OUT / entry.name
    _require_replaceable(target)
    summary = model_store.read_summary(entry.folder)
    if summary.fault:
        raise CommandError(summary.fault)
    on_gpus = _is_for_gpus(summary)
    model_add.set_umask_and_signals()
    python = ensure(
        serving(summary.needs(model_store.machine_kind_here() if on_gpus else machine_kind())),
        nvidia=bool(read_hardware().gpus),
    )
    with _draft(target) as draft:
        task = EvaluateTask(model=entry.folder, images=images, on_gpus=on_gpus)
        model_tools.run_in_session(python, "evaluate", draft, task)
    display_path = target.relative_to(ROOT) if target.is_relative_to(ROOT) else target
    say(f"\nwritten: {display_path / PAGE}, {display_path / JSON}")


def _images_path(images: str) -> Path:
    if not images:
        raise CommandError(
            "IMAGES: found nothing, needed a folder with a subfolder for each class, or a CSV file of file,label"
        )
    path = Path(images).absolute()
    if not path.is_dir() and not path.is_file():
        raise CommandError(f"IMAGES: {images}: no such folder or file: needed a folder for each class, or a CSV file")
    return path


def _is_for_gpus(summary: ModelSummary) -> bool:
    """Return whether workers on this machine run the model on GPUs."""
    choice = summary.choice(model_store.machine_kind_here()) if read_hardware().gpus else None
    return choice is not None and bool(ENGINES[choice.engine].gpu)


def _require_replaceable(target: Path) -> None:
    """Raise CommandError unless `target` does not exist, is empty, or holds an earlier evaluation."""
    try:
        names = {path.name for path in target.iterdir()} if os.path.lexists(target) else set()
        replaceable = not names or (names <= {JSON, PAGE} and _is_evaluation(target / JSON))
    except OSError as error:
        raise CommandError(f"OUT: {target}: {error.strerror}: choose another folder with OUT=") from error
    if not replaceable:
        other = ", ".join(sorted(names - {JSON, PAGE})[:3] or [JSON])
        raise CommandError(
            f"OUT: {target}: found {other}, which is not part of an evaluation: choose another folder with OUT="
        )


def _is_evaluation(file: Path) -> bool:
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(report, dict) and report.get("format") == FORMAT


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `target` if the block succeeds, and is deleted otherwise."""
    destination = target.resolve()
    near = next(parent for parent in destination.parents if parent.is_dir())
    try:
        with tempfile.TemporaryDirectory(prefix=".evaluation-", dir=near) as scratch:
            draft = Path(scratch) / "new"
            draft.mkdir()
            yield draft
            destination.parent.mkdir(parents=True, exist_ok=True)
            if destination.exists():
                destination.rename(Path(scratch) / "old")
            draft.rename(destination)
    except OSError as error:
        raise CommandError(f"OUT: {target}: {error.strerror}: choose a writable folder with OUT=") from error
