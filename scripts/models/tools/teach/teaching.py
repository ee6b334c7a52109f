"""Teach step by step: read the images, compute their features, learn a head, write the model folder and the report."""

import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import openvino as ov

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.cluster.hardware import read_hardware
from scripts.models.tools import TeachTask
from scripts.models.tools.evaluate.report import count_images
from scripts.models.tools.evaluate.run import placements
from scripts.models.tools.evaluate.thumbnails import data_urls
from scripts.models.tools.prepare.isolated import Placement
from scripts.models.tools.teach import PAGE, REPORT, duplicates, features, folder, images, kept, network, views
from scripts.models.tools.teach.comparison import Comparison, compare
from scripts.models.tools.teach.images import Lesson
from scripts.models.tools.teach.judging import Conditions, golden, learn
from scripts.models.tools.teach.kept import Kept
from scripts.models.tools.teach.page import page, shown
from scripts.models.tools.teach.report import table, to_json
from scripts.models.tools.teach.result import Teaching
from worker.contract.files import sha256
from worker.models.folder import ModelFolder, read_folder, verify_files

LEARNED_CHECKED = 60  # learned images, from all classes, that the finished folder answers if none are held out
SEEN_WHOLE = None  # a taught network looks at the whole image, even if its base looks at tiles


@dataclass(frozen=True)
class _Base:
    """The model that is taught: its folder, the network without its last layer, and the network's precision."""

    folder: ModelFolder
    network: ov.Model
    precision: str
    digest: str  # of the network's files

    @property
    def width(self) -> int:
        """The number of features."""
        return int(self.network.output(0).get_partial_shape()[1].get_length())


def run(out: Path, task: TeachTask) -> None:
    """Fill the empty folder `out` as `task` says. Raise CommandError or ModelError with the fault and its remedy."""
    started = time.monotonic()
    base = _base(task.base)
    earlier = kept.read(base.folder) if task.add else Kept(base.folder.name)
    step(f"reading {task.images}")
    lesson = _read(task, earlier)
    duplicates.leave_out_copies(lesson)
    lesson.require_enough(task.images)
    where = placements(read_hardware(), task.base, False)
    seen = _see(lesson, base, earlier, task.cache, where)
    lesson.require_enough(task.images)
    step("learning")
    about = Conditions(task.name, earlier.base, base.precision, task.images, len(where), started)
    teaching = learn(about, lesson, seen)
    if task.replaced:
        teaching = replace(teaching, replaced=_compare(task.replaced, lesson, teaching, where))
    step("writing the model folder and the report")
    kept.write(out, earlier.base, lesson.folders, teaching.examples, seen)
    _write_reports(out, base, teaching)
    draft = folder.Draft(
        task.name, base.folder, base.precision, lesson.labels, teaching.taught.unsure_below, golden(teaching),
        f"{lesson.labels.count} classes, taught with {count_images(len(teaching.learned))}",
    )  # fmt: skip
    written = folder.write(out, draft, network.with_head(base.network, teaching.taught.head))
    checked = [one for one in teaching.held_out or teaching.learned if one.present]
    if not teaching.held_out:
        checked = checked[:: max(1, len(checked) // LEARNED_CHECKED)]
    folder.check(written, checked, teaching.served_scores(checked), where)
    say(f"\n{table(teaching)}")


def _read(task: TeachTask, earlier: Kept) -> Lesson:
    """Return what the images teach, together with what was taught `earlier`; raise CommandError if they have faults."""
    try:
        lesson = images.read(task.images, earlier.folders, earlier.labels)
    except CommandError as error:
        raise CommandError(
            *(re.sub("^IMAGES: ", "ADD: ", line) if task.add else line for line in error.lines)
        ) from None
    kept.add(lesson, earlier, task.images.name)
    return lesson


def _write_reports(out: Path, base: _Base, teaching: Teaching) -> None:
    paths = shown(teaching)
    thumbnails = dict(zip(paths, data_urls(list(paths.values()), base.folder.input.pixels), strict=True))
    for name, content in ((REPORT, to_json(teaching)), (PAGE, page(teaching, thumbnails))):
        (out / name).write_text(content, encoding="utf-8", errors="backslashreplace")


def _compare(path: Path, lesson: Lesson, teaching: Teaching, where: Sequence[Placement]) -> Comparison | None:
    if not teaching.held_out:
        return None
    step(f"comparing with the {path.name} that it replaces")
    return compare(path, lesson.labels, teaching.held_out, teaching.served_scores(teaching.held_out), where)


def _base(path: Path) -> _Base:
    base = read_folder(path)
    verify_files(base)
    source, precision = network.source_of(base)
    digests = [digest for name, digest in base.files.items() if (path / name).parent == source.parent]
    return _Base(base, network.cut(base, source), precision, features.cache_key(sha256(source), digests))


def _see(
    lesson: Lesson, base: _Base, earlier: Kept, cache: Path, where: Sequence[Placement]
) -> dict[str, features.Seen]:
    """Return each image by its digest, those of `earlier` as they were seen; leave out of `lesson` what is broken."""
    new = [one for one in lesson.examples if one.digest not in earlier.seen]
    step(f"looking at {count_images(len(new))} with {base.folder.name} in {base.precision}")
    model_input = replace(base.folder.input, tiles=SEEN_WHOLE)
    key = features.cache_key(features.STORED, base.digest, model_input, ov.__version__)
    count = views.affordable(sum(not one.held_out for one in lesson.examples))
    count = min(count, earlier.views or count)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "features.xml"
        network.save(base.network, path)
        seen, skipped = features.see(path, model_input, new, count, cache / f"{key}.{base.width}", where)
    seen = {**earlier.seen, **seen}
    lesson.keep([one for one in lesson.examples if one.digest in seen], skipped)
    return seen
