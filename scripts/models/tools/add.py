"""`python -m scripts.models.tools.add`: fill an empty folder with a local model and all that serving it needs."""

import contextlib
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from scripts.base.console import megabytes, say, step
from scripts.cluster.config import ROOT
from scripts.models.input_options import input_values
from scripts.models.labels import EXAMPLE, read_labels
from scripts.models.options import AddModelOptions
from scripts.models.tools import read_arguments, run_and_report
from scripts.models.tools.answers import check_label_count, count_outputs, golden_function, open_engine, require_rival
from scripts.models.tools.input_settings import ASSUMED, is_assumed, with_values
from scripts.models.tools.labels import read_label_file
from scripts.models.tools.manifest import labels_file, model_toml
from scripts.models.tools.texts import write_texts, zero_shot_for
from worker.contract.errors import ServiceError
from worker.contract.files import sha256
from worker.contract.litter import own_files
from worker.contract.loaders.checkpoint import NETWORK_CODE
from worker.contract.toml_reader import ModelError
from worker.models.folder import read_folder, verify_files
from worker.models.golden import check_golden
from worker.models.labels import Labels, activate
from worker.models.loaders import Description, describe
from worker.models.loaders.exported import with_chosen_output
from worker.models.output import Golden
from worker.models.zero_shot import ZeroShot

CHUNK_BYTES = 1 << 24  # bytes copied between two progress messages
SLOW_BYTES = 1 << 28  # bytes from which copying a file reports its progress
RGB_BANDS = 3  # channels of DEFAULT_GOLDEN
DEFAULT_GOLDEN = ROOT / "worker/photos/golden/cat.jpg"


def add(out: Path, options: AddModelOptions) -> None:
    """Fill the empty folder `out` as `options` say. Raise ModelError with the fault and its remedy."""
    source, templates, golden = Path(options.source), _path(options.templates), _path(options.golden)
    step(f"inspecting {source}")
    channels = int(options.channels) if options.channels else None
    description = describe(source, options.loader or None, options.architecture, channels)
    values, _ = input_values(options)
    description = with_values(description, values)
    _print_description(description, detected=not options.loader, assumed=is_assumed(description, values))
    if len(description.mean) > RGB_BANDS and not golden:
        raise ModelError(f"GOLDEN: found none, needed an image of {len(description.mean)} bands, such as a TIFF")
    if NETWORK_CODE in description.files and not options.trust_code:
        raise ModelError(
            f"{source}: {NETWORK_CODE} is code that would run in the worker: read it, and if you trust it, "
            "set TRUST_CODE=1"
        )
    files = [(language, Path(file)) for language, file in read_labels(options.labels)[0].items()]
    labels = _labels(description, files, source)
    if description.classes:
        check_label_count(labels, description.classes)
    if description.outputs:
        chosen = with_chosen_output(description, options.output, labels.count)
        _print_notes(chosen.notes[len(description.notes) :])
        description = with_values(chosen, values)
    zero_shot = zero_shot_for(description, labels, templates)
    if not zero_shot:
        require_rival(labels, description.activation)
    step("copying")
    _copy(description, out, link=bool(options.origin))
    for language, lines in labels.names.items():
        (out / labels_file(language)).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    if zero_shot:
        write_texts(out, description.loader, labels, zero_shot)
    _record_answer(options.name, options.origin, out, description, labels, zero_shot, golden or DEFAULT_GOLDEN)
    if not golden:
        say("   this detects a changed answer, not a wrong one; set GOLDEN=IMAGE to use an image of your own")


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _print_description(description: Description, detected: bool, assumed: bool) -> None:
    say(f"   loader {description.loader}" + (" (detected; LOADER= overrides it)" if detected else ""))
    if description.architecture:
        say(f"   architecture {description.architecture}")
    geometry = description.geometry
    size, scaled = (" x ".join(map(str, sides)) for sides in (geometry.size, geometry.scaled(1, 1)[::-1]))
    resized = scaled if isinstance(geometry.resize, tuple) else geometry.resize
    crop = f"centre of the image at {resized}" if geometry.resize else "the whole image, stretched"
    mean, std = ([round(value, 4) for value in values] for values in (description.mean, description.std))
    channels = {1: "grey, ", 3: ""}.get(len(mean), f"{len(mean)} channels, ")
    say(f"   input {size}, {channels}{crop}, {geometry.interpolation}, mean {mean}, std {std}")
    _print_notes([*description.notes, *([ASSUMED] if assumed else ())])


def _print_notes(notes: Iterable[str]) -> None:
    for note in notes:
        say(f"   {note}")


def _labels(description: Description, files: Sequence[tuple[str, Path]], source: Path) -> Labels:
    """Return the labels in `files` by language, and the model's own labels in other languages.

    Raise ModelError if there are none, a file cannot be read, or the languages have different numbers of labels.
    """
    names = {language: lines for language, lines in description.labels.items() if lines}
    for language, file in files:
        names[language], notes = read_label_file(file, language, description.classes)
        _print_notes(notes)
    if not any(names.values()):
        count = f", {description.classes} in all" * bool(description.classes)
        raise ModelError(f"{source}: found no labels: set LABELS={EXAMPLE} or one of them, one label a line{count}")
    if len({len(lines) for lines in names.values()}) > 1:
        counts = ", ".join(f"{language} {len(lines)}" for language, lines in names.items())
        raise ModelError(f"labels: found {counts}, needed the same number in every language")
    # Labels that a library does not store as lines may contain line breaks.
    return Labels({language: tuple(" ".join(line.split()) for line in lines) for language, lines in names.items()})


def _copy(description: Description, out: Path, link: bool) -> None:
    """Copy or hard-link the files and print the progress. Raise ModelError if the disk has no room for them."""
    total, free = sum(path.stat().st_size for path in description.files.values()), shutil.disk_usage(out).free
    if total > free and not link:
        raise ModelError(f"{out.parent}: found {megabytes(free)} free, needed {megabytes(total)}: make room there")
    for number, (name, path) in enumerate(description.files.items(), 1):
        size = path.stat().st_size
        say(f"   {number}/{len(description.files)} {name}, {megabytes(size)}")
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        if link:
            with contextlib.suppress(OSError):  # some file systems have no hard links
                (out / name).hardlink_to(path)
                continue
        with path.open("rb") as source, (out / name).open("wb") as target:
            while chunk := source.read(CHUNK_BYTES):
                target.write(chunk)
                if size >= SLOW_BYTES:
                    say(f"      {target.tell() / size:.0%}")
    if description.write:
        description.write(out)


def _record_answer(
    name: str, origin: str, out: Path, description: Description, labels: Labels, zero_shot: ZeroShot | None, image: Path
) -> None:
    """Write model.toml with the model's answer to `image`, then check the folder as a worker does.

    Raise ModelError if the image cannot be read or a check fails.
    """
    golden = Path("golden") / image.name
    (out / "golden").mkdir(exist_ok=True)
    shutil.copyfile(image, out / golden)
    digests = {path.relative_to(out).as_posix(): sha256(path) for path in own_files(out)}

    def write(index: int, score: float) -> None:
        label = labels.name(index, "en")
        answer = Golden(golden, index, label, score)
        text = model_toml(name, description, digests, labels.names, answer, origin, zero_shot)
        (out / "model.toml").write_text(text, encoding="utf-8")

    write(0, 0.0)  # a placeholder: the engine is loaded from a folder, which needs a complete model.toml
    step(f"classifying {image.name}")
    draft = read_folder(out)
    try:
        engine = open_engine(draft)
    except ModelError as error:
        raise ModelError(f"{error}\nlabels: found {labels.count}: does the network have as many outputs?") from error
    check_label_count(labels, count_outputs(draft, engine))
    try:
        scores = activate(golden_function(draft, engine)(image.read_bytes()), draft.output.activation)
    except ServiceError as error:
        raise ModelError(f"{image}: {error.message}") from error
    best = int(scores.argmax())
    write(best, float(scores[best]))
    folder = read_folder(out)
    verify_files(folder)
    check_golden(folder, golden_function(folder, engine), engine.precision)
    say(f"   {labels.name(best, 'both')} ({scores[best]:.3f}): recorded as what every later check must reproduce")


def main(out: Path, options: AddModelOptions) -> int:
    source = Path(options.source)
    display_path = source if source.is_dir() else source.parent
    return run_and_report(lambda: add(out, options), out, display_path, out.parent)


if __name__ == "__main__":
    sys.exit(main(*read_arguments(AddModelOptions)))
