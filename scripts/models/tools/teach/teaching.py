"""Teach step by step: read the images, compute their features, learn a head, write the model folder and the report."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import openvino as ov

from scripts.base.console import say, step
from scripts.cluster.hardware import read_hardware
from scripts.models.tools import TeachTask
from scripts.models.tools.evaluate.report import count_images
from scripts.models.tools.evaluate.run import placements
from scripts.models.tools.evaluate.thumbnails import data_urls
from scripts.models.tools.prepare.isolated import Placement
from scripts.models.tools.teach import PAGE, REPORT, duplicates, features, folder, images, network
from scripts.models.tools.teach.images import Lesson
from scripts.models.tools.teach.judging import Conditions, golden, learn
from scripts.models.tools.teach.page import page, shown
from scripts.models.tools.teach.report import table, to_json
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
    step(f"reading {task.images}")
    lesson = images.read(task.images)
    duplicates.leave_out_copies(lesson)
    names = [lesson.name(index) for index in range(lesson.labels.count)]
    images.require_enough(task.images, names, lesson.examples, lesson.skipped)
    base = _base(task.base)
    where = placements(read_hardware(), task.base, False)
    step(f"looking at {count_images(len(lesson.examples))} with {base.folder.name} in {base.precision}")
    seen = _see(lesson, base, task.cache, where)
    images.require_enough(task.images, names, lesson.examples, lesson.skipped)
    step("learning")
    about = Conditions(task.name, base.folder.name, base.precision, task.images, len(where), started)
    teaching = learn(about, lesson, seen)
    step("writing the model folder and the report")
    paths = shown(teaching)
    thumbnails = dict(zip(paths, data_urls(list(paths.values()), base.folder.input.pixels), strict=True))
    reports = {REPORT: to_json(teaching), PAGE: page(teaching, thumbnails)}
    taught = network.with_head(base.network, teaching.taught.head)
    draft = folder.Draft(
        task.name, base.folder, base.precision, lesson.labels, teaching.taught.unsure_below, golden(teaching),
        f"{lesson.labels.count} classes, taught with {count_images(len(teaching.learned))}",
    )  # fmt: skip
    written = folder.write(out, draft, taught, reports)
    checked = teaching.held_out or teaching.learned[:: max(1, len(teaching.learned) // LEARNED_CHECKED)]
    folder.check(written, checked, teaching.served_scores(checked), where)
    say(f"\n{table(teaching)}")


def _base(path: Path) -> _Base:
    base = read_folder(path)
    verify_files(base)
    source, precision = network.source_of(base)
    digests = [digest for name, digest in base.files.items() if (path / name).parent == source.parent]
    return _Base(base, network.cut(base, source), precision, features.cache_key(sha256(source), digests))


def _see(lesson: Lesson, base: _Base, cache: Path, where: Sequence[Placement]) -> dict[str, features.Seen]:
    """Return each image by its digest; leave out of `lesson` those that cannot be decoded or are held out twice."""
    model_input = replace(base.folder.input, tiles=SEEN_WHOLE)
    key = features.cache_key(base.digest, model_input, ov.__version__)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "features.xml"
        ov.save_model(base.network, path, compress_to_fp16=False)
        seen, skipped = features.see(path, model_input, lesson.examples, cache / f"{key}.{base.width}", where)
    lesson.keep([one for one in lesson.examples if one.digest in seen], skipped)
    return seen
