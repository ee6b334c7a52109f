"""Embed the texts of a zero-shot model, its labels in templates, once when the model is added."""

import os
from pathlib import Path

from scripts.base.console import say, step
from worker.contract.fields import ModelError
from worker.contract.files import sha256
from worker.contract.languages import primary
from worker.contract.loaders import reads_texts
from worker.models.labels import Labels
from worker.models.loaders import Description, load_text_tower
from worker.models.zero_shot import PLACEHOLDER, ZeroShot, embed, head_file, template_fault

TEMPLATES = {  # by language; in other languages the label alone is the text
    "en": ("a photo of a {}.", "a photo of the {}.", "a close-up photo of a {}."),
    "zh": ("一张{}的照片。", "{}的照片。", "一张{}的特写照片。"),
}
MANY, STEPS = 500, 10  # progress is printed from MANY texts on, every STEPS percent


def zero_shot_of(found: Description, labels: Labels, templates: Path | None) -> ZeroShot | None:
    """Return the language and templates of a zero-shot network's labels, None for any other network.

    Raise ModelError if `templates` cannot be read, or the network reads no texts.
    """
    if not reads_texts(found.loader):
        if templates:
            raise ModelError(f"TEMPLATES: loader {found.loader} reads no texts: leave it out")
        return None
    read = (language for language in labels.names if primary(language) == found.text_language)
    language = next(read, next(iter(labels.names)))
    return ZeroShot(language, read_templates(templates) if templates else _usual(language))


def _usual(language: str) -> tuple[str, ...]:
    if found := TEMPLATES.get(primary(language)):
        return found
    say(f"   there are no templates in {language}: each label is read alone; TEMPLATES=FILE takes yours")
    return (PLACEHOLDER,)


def read_templates(file: Path) -> tuple[str, ...]:
    """Return the templates in `file`, one per line. Raise ModelError if one of them lacks a place for the label."""
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


def write_texts(out: Path, loader: str, labels: Labels, zero_shot: ZeroShot) -> None:
    """Embed the labels with the network in the folder `out` and store the result there, so that no worker has to.

    Raise ModelError if a label is blank or the network cannot be loaded.
    """
    lines, templates = labels.names[zero_shot.language], zero_shot.templates
    if blank := [number for number, line in enumerate(lines, 1) if not line]:
        raise ModelError(f"labels: line {blank[0]} of those in {zero_shot.language} is blank; one label a line")
    step(f"reading {len(lines)} labels in {len(templates)} templates, such as {templates[0].format(lines[0])}")
    files = {path.name: sha256(path) for path in out.iterdir() if path.is_file()}
    tower = load_text_tower(loader, out, len(os.sched_getaffinity(0)))
    said = 0

    def tell(share: float) -> None:
        nonlocal said
        if len(lines) * len(templates) >= MANY and share * 100 >= said + STEPS:
            said = int(share * 100)
            say(f"      {said}%")

    embed(tower, lines, templates, tell).save(out / head_file(files, lines, templates))
