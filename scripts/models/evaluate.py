"""`make evaluate`: measure a model's accuracy on labelled images and report it as a table, JSON and an HTML page.

The report is written to a draft folder, which replaces an earlier report at the end.
"""

import json
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, Cluster
from scripts.cluster.hardware import read_hardware
from scripts.host.environments import ensure, serving
from scripts.models import add as model_add
from scripts.models import model_store as library
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
    entries = library.entries(options.models, cluster)
    if not options.name:
        raise CommandError(f"NAME: found nothing, needed one of {', '.join(entry.name for entry in entries)}")
    entry = library.named(entries, options.name)
    place, target = _images(options.images), Path(options.out).absolute() if options.out else OUT / entry.name
    _require_replaceable(target)
    facts = library.read_summary(entry.folder)
    if facts.fault:
        raise CommandError(facts.fault)
    on_gpus = _is_for_gpus(facts)
    model_add.set_umask_and_signals()
    python = ensure(
        serving(facts.needs(library.machine_kind_here() if on_gpus else machine_kind())),
        nvidia=bool(read_hardware().gpus),
    )
    with _draft(target) as draft:
        _run(python, draft, EvaluateTask(model=entry.folder, images=place, on_gpus=on_gpus))
    shown = target.relative_to(ROOT) if target.is_relative_to(ROOT) else target
    say(f"\nwritten: {shown / PAGE}, {shown / JSON}")


def _images(images: str) -> Path:
    if not images:
        raise CommandError(
            "IMAGES: found nothing, needed a folder with one for each class, or a CSV file of file,label"
        )
    place = Path(images).absolute()
    if not place.is_dir() and not place.is_file():
        raise CommandError(f"IMAGES: {images}: no such folder or file: needed a folder for each class, or a CSV file")
    return place


def _is_for_gpus(facts: ModelSummary) -> bool:
    """Return whether workers on this machine run the model on GPUs."""
    choice = facts.choice(library.machine_kind_here()) if read_hardware().gpus else None
    return choice is not None and bool(ENGINES[choice.engine].gpu)


def _require_replaceable(target: Path) -> None:
    """Raise CommandError unless `target` does not exist, is empty, or holds an earlier evaluation."""
    try:
        held = {path.name for path in target.iterdir()} if os.path.lexists(target) else set()
        ours = not held or (held <= {JSON, PAGE} and _is_evaluation(target / JSON))
    except OSError as error:
        raise CommandError(f"OUT: {target}: {error.strerror}: name another folder with OUT=") from error
    if not ours:
        other = ", ".join(sorted(held - {JSON, PAGE})[:3] or [JSON])
        raise CommandError(
            f"OUT: {target}: found {other}, which is not part of an evaluation: name another folder with OUT="
        )


def _is_evaluation(file: Path) -> bool:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("format") == FORMAT


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `target` if the block succeeds, and is deleted otherwise."""
    place = target.resolve()
    near = next(parent for parent in place.parents if parent.is_dir())
    try:
        with tempfile.TemporaryDirectory(prefix=".evaluation-", dir=near) as shelf:
            draft = Path(shelf) / "new"
            draft.mkdir()
            yield draft
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.exists():
                place.rename(Path(shelf) / "old")
            draft.rename(place)
    except OSError as error:
        raise CommandError(f"OUT: {target}: {error.strerror}: name a folder that can be written with OUT=") from error


def _run(python: Path, draft: Path, task: EvaluateTask) -> None:
    """Run the tool and raise CommandError if it fails.

    The tool has its own session, so that an interrupt does not reach it: any exception here kills its process group.
    """
    with model_tools.start(python, "evaluate", draft, task, start_new_session=True) as tool:
        try:
            tool.wait()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(tool.pid, signal.SIGKILL)
            raise
    model_tools.require_success(tool.returncode)
