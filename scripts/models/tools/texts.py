"""The texts of a zero-shot model: its labels in templates, embedded once when it is added."""

import os
from pathlib import Path

from scripts.base.console import say, step
from worker.contract.engine import ZERO_SHOT
from worker.contract.fields import ModelError
from worker.contract.files import sha256
from worker.models.labels import Labels
from worker.models.loaders import Description, load_text_tower
from worker.models.zero_shot import ZeroShot, embed, head_file, template_fault

TEMPLATES = {
    "en": ("a photo of a {}.", "a photo of the {}.", "a close-up photo of a {}."),
    "zh": ("一张{}的照片。", "{}的照片。", "一张{}的特写照片。"),
}
MANY, STEPS = 500, 10  # texts from which progress is told, and the percent between two lines of it


def zero_shot_of(found: Description, labels: Labels, templates: Path | None) -> ZeroShot | None:
    """What is done with the labels of a zero-shot network, None for any other. Raises ModelError."""
    if found.loader != ZERO_SHOT:
        if templates:
            raise ModelError(f"TEMPLATES: loader {found.loader} reads no texts: leave it out")
        return None
    language = found.text_language if found.text_language in labels.names else next(iter(labels.names))
    return ZeroShot(language, read_templates(templates) if templates else TEMPLATES[language])


def read_templates(file: Path) -> tuple[str, ...]:
    """The templates in `file`, one a line; raises ModelError for one without a place for the label."""
    try:
        lines = tuple(line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines())
    except UnicodeDecodeError as error:
        raise ModelError(f"{file}: byte {error.start} is not UTF-8: save the file as UTF-8") from error
    if not lines:
        raise ModelError(f"{file}: is empty; needed one template a line, such as {TEMPLATES['en'][0]}")
    for number, line in enumerate(lines, 1):
        if fault := template_fault(line):
            raise ModelError(f"{file}: line {number} {fault}")
    return lines


def write_texts(out: Path, labels: Labels, zero_shot: ZeroShot) -> None:
    """Embed the labels by the network in the folder `out`, so that no worker has to. Raises ModelError."""
    lines, templates = labels.names[zero_shot.language], zero_shot.templates
    if blank := [number for number, line in enumerate(lines, 1) if not line]:
        raise ModelError(f"labels: line {blank[0]} of those in {zero_shot.language} is blank; one label a line")
    step(f"reading {len(lines)} labels in {len(templates)} templates, such as {templates[0].format(lines[0])}")
    files = {path.name: sha256(path) for path in out.iterdir() if path.is_file()}
    tower = load_text_tower(out, len(os.sched_getaffinity(0)))
    said = 0

    def tell(share: float) -> None:
        nonlocal said
        if len(lines) * len(templates) >= MANY and share * 100 >= said + STEPS:
            said = int(share * 100)
            say(f"      {said}%")

    embed(tower, lines, templates, tell).save(out / head_file(files, lines, templates))
