"""`make evaluate`: measure a model's accuracy on labelled images, or compare several models on the same ones.

It reports a table, JSON and an HTML page.

The report is written to a draft folder, which replaces an earlier report at the end.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, Cluster
from scripts.cluster.hardware import read_hardware
from scripts.host.environments import serving
from scripts.host.venv import ensure
from scripts.models import add as model_add
from scripts.models import model_store
from scripts.models import tools as model_tools
from scripts.models.model_store import StoredModel
from scripts.models.options import EvaluateOptions
from scripts.models.summary import ModelSummary, machine_kind_here, read_summary
from scripts.models.tools import CompareTask, EvaluateTask
from scripts.models.tools.evaluate import COMPARISON_FORMAT, COMPARISON_JSON, COMPARISON_PAGE, FORMAT, JSON, PAGE
from worker.contract.engines import ENGINES
from worker.contract.machine import machine_kind

OUT = ROOT / "evaluation"


@dataclass(frozen=True)
class _Report:
    """The files of a report, and the JSON file's format, by which an earlier report is recognised."""

    json: str
    page: str
    format: str


EVALUATION = _Report(JSON, PAGE, FORMAT)
COMPARISON = _Report(COMPARISON_JSON, COMPARISON_PAGE, COMPARISON_FORMAT)


def evaluate(options: EvaluateOptions, cluster: Cluster) -> None:
    """Evaluate a model on labelled images, or compare several, and write the report to `options.out`.

    That is OUT/<model's name> by default. Raise CommandError if the options are wrong or no image can be evaluated; an
    earlier report then stays unchanged.
    """
    chosen = _chosen(options, cluster)
    kind = EVALUATION if len(chosen) == 1 else COMPARISON
    images = _images_path(options.images)
    target = Path(options.out).absolute() if options.out else OUT / "-vs-".join(entry.name for entry in chosen)
    _require_replaceable(target, kind)
    summaries = [_summary(entry) for entry in chosen]
    model_add.set_umask_and_signals()
    pythons = [_python(summary) for summary in summaries]
    with _draft(target) as draft:
        if kind is EVALUATION:
            task = EvaluateTask(model=chosen[0].folder, images=images, on_gpus=_is_for_gpus(summaries[0]))
            model_tools.run_in_session(pythons[0], "evaluate", draft, task)
        else:
            _compare(draft, images, list(zip(chosen, summaries, pythons, strict=True)))
    display_path = target.relative_to(ROOT) if target.is_relative_to(ROOT) else target
    say(f"\nwritten: {display_path / kind.page}, {display_path / kind.json}")


def _compare(draft: Path, images: Path, models: Sequence[tuple[StoredModel, ModelSummary, Path]]) -> None:
    """Let each of `models` answer in its own environment, then write the comparison into `draft`."""
    with tempfile.TemporaryDirectory(prefix="answers-", dir=draft.parent) as scratch:
        files = []
        for number, (entry, summary, python) in enumerate(models):
            file = Path(scratch) / f"{number}.json"
            task = EvaluateTask(entry.folder, images, _is_for_gpus(summary), file)
            model_tools.run_in_session(python, "evaluate", draft, task)
            files.append(str(file))
        entry, _, python = models[0]
        model_tools.run_in_session(python, "evaluate.compare", draft, CompareTask(tuple(files), images, entry.folder))


def _chosen(options: EvaluateOptions, cluster: Cluster) -> list[StoredModel]:
    """Return the models that NAME names, separated by commas; raise CommandError if one is unknown or named twice."""
    entries = model_store.entries(options.models, cluster)
    if not options.name:
        known = ", ".join(entry.name for entry in entries)
        raise CommandError(
            f"NAME: found nothing, needed one of {known}, or several with commas between, to compare them"
        )
    names = [name.strip() for name in options.name.split(",")]
    if "" in names:
        raise CommandError(f"NAME: found {options.name!r}, needed names with single commas between, such as a,b")
    chosen = [model_store.named(entries, name) for name in names]
    folders = [entry.folder.resolve() for entry in chosen]
    for place, entry in enumerate(chosen):
        if folders[place] in folders[:place]:
            raise CommandError(f"NAME: found {entry.name} twice, needed different models to compare")
    return chosen


def _summary(entry: StoredModel) -> ModelSummary:
    summary = read_summary(entry.folder)
    if summary.fault:
        raise CommandError(summary.fault)
    return summary


def _python(summary: ModelSummary) -> Path:
    """Return the Python of the environment that the model's workers have on this machine."""
    machine = machine_kind_here() if _is_for_gpus(summary) else machine_kind()
    return ensure(serving(summary.needs(machine)), nvidia=bool(read_hardware().gpus))


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
    choice = summary.choice(machine_kind_here()) if read_hardware().gpus else None
    return choice is not None and bool(ENGINES[choice.engine].gpu)


def _require_replaceable(target: Path, kind: _Report) -> None:
    """Raise CommandError unless `target` does not exist, is empty, or holds an earlier report of this kind."""
    files = {kind.json, kind.page}
    try:
        names = {path.name for path in target.iterdir()} if os.path.lexists(target) else set()
        replaceable = not names or (names <= files and _is_report(target / kind.json, kind.format))
    except OSError as error:
        raise CommandError(f"OUT: {target}: {error.strerror}: choose another folder with OUT=") from error
    if not replaceable:
        other = ", ".join(sorted(names - files)[:3] or [kind.json])
        what = "an evaluation" if kind is EVALUATION else "a comparison"
        raise CommandError(
            f"OUT: {target}: found {other}, which is not part of {what}: choose another folder with OUT="
        )


def _is_report(file: Path, report_format: str) -> bool:
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(report, dict) and report.get("format") == report_format


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `target` if the block succeeds, and is deleted otherwise."""
    destination = target.resolve()
    near = next(parent for parent in destination.parents if os.path.lexists(parent))
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
