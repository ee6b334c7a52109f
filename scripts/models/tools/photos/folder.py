"""Write the embedded model folder: the network, golden photographs, labels and model.toml."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import openvino as ov

from scripts.base.console import say, step
from scripts.models.options import AddModelOptions
from scripts.models.tools.add import add
from scripts.models.tools.answers import logits_function, open_engine
from scripts.models.tools.manifest import engine_table, golden_table, input_table, labels_file, output_table, to_text
from scripts.models.tools.photos.sources import GOLDEN, WEIGHTS, Sources
from scripts.models.tools.prepare.converters import openvino, samples
from worker.contract.files import sha256
from worker.contract.toml_reader import ModelError
from worker.models.folder import ModelFolder, read_folder, verify_files
from worker.models.golden import check_golden
from worker.models.loaders import Description, describe, load_network
from worker.models.loaders.graph import read
from worker.models.output import Golden

NAME, VERSION, NETWORK, PRECISION = "photos", "1", "model.xml", "int8"
CALIBRATION_CROPS = 600  # with 300, the scores differ from those in f32 by a third more
MAX_BYTES = 7_000_000  # of the whole folder, because every clone of the repository contains it
UNSURE_BELOW = 0.23  # as `make evaluate` determined it on held-out photographs
DESCRIPTION = {
    "en": "1,000 kinds of animals, plants, food, vehicles and everyday objects in photographs (ImageNet-1k)",
    "zh": "识别照片中的 1000 类动物、植物、食物、交通工具和日常物品（ImageNet-1k）",
}
README = Path(__file__).with_name("README.template.md")


def make(sources: Sources, out: Path, crop_count: int = CALIBRATION_CROPS) -> None:
    """Fill the empty folder `out` with the network, calibrated on `crop_count` crops, and what belongs to it.

    Raise ModelError if a photograph gets a wrong answer or the folder is too large.
    """
    (out / "golden").mkdir()
    for photograph in GOLDEN:
        (out / photograph.path).write_bytes(sources.jpeg(photograph))
    with TemporaryDirectory() as scratch:
        weights, source, f32_network = (Path(scratch) / name for name in (Path(WEIGHTS).name, "source", "f32.xml"))
        weights.write_bytes(sources.state_dict())
        description, folder = describe(weights), _add_model(weights, source, out / GOLDEN[0].path)
        step("converting the network")
        openvino.convert(load_network(folder), folder.input, f32_network)
        step(f"quantising it, calibrated on {crop_count} crops of photographs")
        crops = sources.crops(crop_count, folder.input.geometry.size)
        inputs = list(samples.normalised(crops, folder.input))
        ov.save_model(openvino.quantised(read(f32_network), inputs), out / NETWORK, compress_to_fp16=True)
    for language, lines in description.labels.items():
        _write(out / labels_file(language), "".join(f"{line}\n" for line in lines))
    _write(out / "README.md", readme())
    _write_manifest(out, description)
    if (size := sum(path.stat().st_size for path in out.rglob("*"))) > MAX_BYTES:
        raise ModelError(f"{out}: found {size} bytes, needed {MAX_BYTES} or fewer")


def _add_model(weights: Path, source: Path, golden: Path) -> ModelFolder:
    """Make a model folder from `weights` in `source`, as `make model-add` does, and return it."""
    source.mkdir()
    add(source, AddModelOptions(name=NAME, source=str(weights), golden=str(golden)))
    return read_folder(source)


def _write_manifest(out: Path, description: Description) -> None:
    """Write model.toml with the network's scores for the photographs, and check the folder as a worker does."""
    step("classifying its photographs")
    digests = {path.relative_to(out).as_posix(): sha256(path) for path in sorted(out.rglob("*")) if path.is_file()}
    english = description.labels["en"]
    classes = [english.index(photograph.label) for photograph in GOLDEN]
    _write(out / "model.toml", model_toml(description, digests, classes, [0.0] * len(classes)))
    draft = read_folder(out)
    get_logits = logits_function(draft, open_engine(draft))
    answers = [draft.output.scores(get_logits(golden.image.read_bytes())) for golden in draft.golden]
    for photograph, index, scores in zip(GOLDEN, classes, answers, strict=True):
        best = int(scores.argmax())
        say(f"   {photograph.name}: {draft.output.labels.name(best, 'both')} ({scores[best]:.3f})")
        if best != index:
            raise ModelError(f"{photograph.path}: found the answer {english[best]}, needed {photograph.label}")
    golden_scores = [float(scores[index]) for index, scores in zip(classes, answers, strict=True)]
    _write(out / "model.toml", model_toml(description, digests, classes, golden_scores))
    folder = read_folder(out)
    verify_files(folder)
    check_golden(folder, get_logits, PRECISION)


def model_toml(
    description: Description, digests: Mapping[str, str], classes: Sequence[int], scores: Sequence[float]
) -> str:
    """Return the text of model.toml.

    `digests` are sha256 by path; `classes` and `scores` are those of each photograph in GOLDEN.
    """
    answers = zip(GOLDEN, classes, scores, strict=True)
    return to_text(
        {
            "name": NAME,
            "version": VERSION,
            "licence": "Apache-2.0",
            "loader": "openvino",
            "weights": NETWORK,
            "description": DESCRIPTION,
            "files": dict(digests),
            "input": input_table(description),
            "output": output_table(description, description.labels, unsure_below=UNSURE_BELOW),
            "golden": [
                golden_table(Golden(Path(photograph.path), index, photograph.label, score, example=True))
                for photograph, index, score in answers
            ],
            "engine": engine_table("openvino", PRECISION),
        }
    )


def readme() -> str:
    """Return the text of README.md: the template with a row for each photograph."""
    rows = (
        f"| `{photograph.path}` | `{photograph.member}` | {photograph.box or 'all of it'} | {photograph.author} "
        f"| {photograph.licence} |"
        for photograph in GOLDEN
    )
    return README.read_text(encoding="utf-8").replace("{photographs}", "\n".join(rows))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
