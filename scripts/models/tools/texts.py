"""Embed the texts of a zero-shot model, its labels in templates, once when the model is added."""

import os
from pathlib import Path

from scripts.base.console import say, step
from worker.contract.files import sha256
from worker.contract.languages import primary
from worker.contract.loaders import reads_texts
from worker.contract.toml_reader import ModelError
from worker.models.labels import Labels
from worker.models.loaders import Description, load_text_tower
from worker.models.zero_shot import PLACEHOLDER, ZeroShot, embed, head_file, template_fault

TEMPLATES = {  # by language; in other languages the label alone is the text
    "en": ("a photo of a {}.", "a photo of the {}.", "a close-up photo of a {}."),
    "zh": ("一张{}的照片。", "{}的照片。", "一张{}的特写照片。"),
}
PROGRESS_MIN_TEXTS, PROGRESS_STEP = 500, 10  # the fewest texts with progress messages, and the percent between two


def zero_shot_for(description: Description, labels: Labels, templates: Path | None) -> ZeroShot | None:
    """Return the language and templates of a zero-shot network's labels, None for any other network.

    Raise ModelError if `templates` cannot be read, or the network reads no texts.
    """
    if not reads_texts(description.loader):
        if templates:
            raise ModelError(f"TEMPLATES: loader {description.loader} reads no texts: leave it out")
        return None
    readable = (language for language in labels.names if primary(language) == description.text_language)
    language = next(readable, next(iter(labels.names)))
    return ZeroShot(language, read_templates(templates) if templates else _default_templates(language))


def _default_templates(language: str) -> tuple[str, ...]:
    if templates := TEMPLATES.get(primary(language)):
        return templates
    say(f"   found no built-in templates in {language}: each label is its own text; set TEMPLATES=FILE to use your own")
    return (PLACEHOLDER,)


def read_templates(file: Path) -> tuple[str, ...]:
    """Return the templates in `file`, one per line. Raise ModelError if one of them lacks a place for the label."""
    try:
        lines = tuple(line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines())
    except UnicodeDecodeError as error:
        raise ModelError(f"{file}: byte {error.start} is not UTF-8: save the file as UTF-8") from error
    if not lines:
        raise ModelError(f"{file}: found an empty file, needed one template per line, such as {TEMPLATES['en'][0]}")
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
        raise ModelError(f"labels: found line {blank[0]} in {zero_shot.language} blank, needed one label per line")
    step(f"embedding {len(lines)} labels in {len(templates)} templates, such as {templates[0].format(lines[0])}")
    files = {path.name: sha256(path) for path in out.iterdir() if path.is_file()}
    tower = load_text_tower(loader, out, len(os.sched_getaffinity(0)))
    printed = 0

    def show_progress(share: float) -> None:
        nonlocal printed
        if len(lines) * len(templates) >= PROGRESS_MIN_TEXTS and share * 100 >= printed + PROGRESS_STEP:
            printed = int(share * 100)
            say(f"      {printed}%")

    embed(tower, lines, templates, show_progress).save(out / head_file(files, lines, templates))
