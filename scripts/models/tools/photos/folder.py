"""The embedded model folder: its network, photographs with their answers, labels, and model.toml."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import openvino as ov

from scripts.base.console import say, step
from scripts.models.options import AddModelOptions
from scripts.models.tools.add import add
from scripts.models.tools.answers import asker, open_engine
from scripts.models.tools.manifest import engine_table, golden_table, input_table, labels_file, output_table, to_text
from scripts.models.tools.photos.sources import GOLDEN, WEIGHTS, Sources
from scripts.models.tools.prepare.converters import openvino, samples
from worker.contract.fields import ModelError
from worker.contract.files import sha256
from worker.models.folder import ModelFolder, read_folder, verify_files
from worker.models.golden import check_golden
from worker.models.loaders import Description, describe, load_network
from worker.models.loaders.prepared import read
from worker.models.output import Golden

NAME, VERSION, NETWORK, PRECISION = "photos", "1", "model.xml", "int8"
CALIBRATION = 600  # crops: with 300, a third more distance from the answers in f32
LARGEST = 7_000_000  # bytes of the whole folder, which every clone carries
# As `make evaluate` states it for held-out photographs: from there on nine of ten answers are right.
UNSURE_BELOW = 0.23
DESCRIPTION = {
    "en": "1,000 kinds of animals, plants, food, vehicles and everyday objects in photographs (ImageNet-1k)",
    "zh": "识别照片中的 1000 类动物、植物、食物、交通工具和日常物品（ImageNet-1k）",
}
README = Path(__file__).with_name("README.template.md")


def make(sources: Sources, out: Path) -> None:
    """Fill the empty folder `out`; raise ModelError where a photograph is answered wrongly or the folder too large."""
    (out / "golden").mkdir()
    for photograph in GOLDEN:
        (out / photograph.path).write_bytes(sources.jpeg(photograph))
    with TemporaryDirectory() as scratch:
        weights, source, exact = (Path(scratch) / name for name in (Path(WEIGHTS).name, "source", "f32.xml"))
        weights.write_bytes(sources.state_dict())
        found, folder = describe(weights), _added(weights, source, out / GOLDEN[0].path)
        step("converting the network")
        openvino.convert(load_network(folder), folder.input, exact)
        step(f"quantising it, calibrated on {CALIBRATION} crops of photographs")
        crops = sources.crops(CALIBRATION, folder.input.geometry.size)
        inputs = list(samples.normalised(crops, folder.input))
        ov.save_model(openvino.quantised(read(exact), inputs), out / NETWORK, compress_to_fp16=True)
    for language, lines in found.labels.items():
        _write(out / labels_file(language), "".join(f"{line}\n" for line in lines))
    _write(out / "README.md", README.read_text(encoding="utf-8").replace("{photographs}", _origins()))
    _record(out, found)
    if (size := sum(path.stat().st_size for path in out.rglob("*"))) > LARGEST:
        raise ModelError(f"{out}: found {size} bytes, needed {LARGEST} or fewer")


def _added(weights: Path, source: Path, golden: Path) -> ModelFolder:
    """Return the model folder `source`, made of `weights` as users make theirs."""
    source.mkdir()
    add(source, AddModelOptions(name=NAME, source=str(weights), golden=str(golden)))
    return read_folder(source)


def _record(out: Path, found: Description) -> None:
    """Write model.toml with the answers that the network gives to the photographs, and check it as a worker does."""
    step("asking it about its photographs")
    digests = {path.relative_to(out).as_posix(): sha256(path) for path in sorted(out.rglob("*")) if path.is_file()}
    english = found.labels["en"]
    classes = [english.index(photograph.label) for photograph in GOLDEN]
    _write(out / "model.toml", model_toml(found, digests, classes, [0.0] * len(classes)))
    draft = read_folder(out)
    ask = asker(draft, open_engine(draft))
    answers = [draft.output.scores(ask(golden.image.read_bytes())) for golden in draft.golden]
    for photograph, index, scores in zip(GOLDEN, classes, answers, strict=True):
        best = int(scores.argmax())
        say(f"   {photograph.name}: {draft.output.labels.shown(best, 'both')} ({scores[best]:.3f})")
        if best != index:
            raise ModelError(f"{photograph.path}: answered {english[best]}, needed {photograph.label}")
    scored = [float(scores[index]) for index, scores in zip(classes, answers, strict=True)]
    _write(out / "model.toml", model_toml(found, digests, classes, scored))
    folder = read_folder(out)
    verify_files(folder)
    check_golden(folder, ask, PRECISION)


def model_toml(found: Description, digests: Mapping[str, str], classes: Sequence[int], scores: Sequence[float]) -> str:
    """Return the text of model.toml: the sha256 `digests` by path, and class and score of each photograph of GOLDEN."""
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
            "input": input_table(found),
            "output": output_table(found, found.labels, unsure_below=UNSURE_BELOW),
            "golden": [
                golden_table(Golden(Path(one.path), index, one.label, score, example=True))
                for one, index, score in answers
            ],
            "engine": engine_table("openvino", PRECISION),
        }
    )


def _origins() -> str:
    return "\n".join(
        f"| `{one.path}` | `{one.member}` | {one.box or 'all of it'} | {one.author} | {one.licence} |" for one in GOLDEN
    )


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
