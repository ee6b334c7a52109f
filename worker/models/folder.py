"""A model folder: `model.toml` read strictly, and every file held against its sha256."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from worker.decode import INTERPOLATIONS, Geometry
from worker.labels import ACTIVATIONS, LANGUAGES, Labels
from worker.models.fields import Fields, ModelError
from worker.settings import ENGINES

PREPARED = ("openvino", "onnx")  # what the openvino engine reads itself
LOADERS = ("torchvision", "transformers", "timm", "modelscope", "checkpoint", "pt2", *PREPARED)
BUILT_BY_NAME = ("torchvision", "timm", "modelscope")  # these need an architecture
PRECISIONS = ("f32", "bf16", "int8")


@dataclass(frozen=True)
class Input:
    """What the network takes: the geometry, and mean and std of RGB values scaled to 0..1."""

    geometry: Geometry
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Golden:
    """A picture whose answer is known: its class and score must come back before the worker is ready."""

    image: Path
    index: int
    label: str
    score: float


@dataclass(frozen=True)
class EngineSpec:
    """Which engine runs the network, in which precision, and the batch sizes it is prepared for."""

    name: str
    precision: str
    batch_sizes: tuple[int, ...]


@dataclass(frozen=True)
class ModelFolder:
    """Everything `model.toml` says; `weights` is a path for the loader (a file, or the folder itself).

    `trust_code` lets the loader run Python from the folder.
    """

    path: Path
    name: str
    version: str
    loader: str
    architecture: str
    trust_code: bool
    weights: Path
    files: Mapping[str, str]
    input: Input
    activation: str
    labels: Labels
    golden: tuple[Golden, ...]
    engine: EngineSpec


def read_folder(path: Path) -> ModelFolder:
    """Read `path`/model.toml; raises ModelError with every fault found in it, one a line."""
    source = path / "model.toml"
    if not path.is_dir():
        raise ModelError(f"{path}: no such model folder; check the path and that the models volume is mounted")
    if not source.is_file():
        raise ModelError(f"{source}: not found; a model folder needs a model.toml")
    try:
        table = tomllib.loads(source.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{source}: not valid TOML: {error}") from error
    return _parse(Fields(table, str(source)), path)


def verify_files(folder: ModelFolder) -> None:
    """Hold every file of the folder against its sha256; raises ModelError for a missing, changed or unlisted one."""
    present = {str(file.relative_to(folder.path)) for file in folder.path.rglob("*") if file.is_file()}
    if missing := sorted(folder.files.keys() - present):
        raise ModelError(f"{folder.path}: missing {', '.join(missing)}; copy the model folder again")
    if unlisted := sorted(present - folder.files.keys() - {"model.toml"}):
        raise ModelError(f"{folder.path}: {', '.join(unlisted)} not listed under [files]; remove or list it")
    for name, wanted in folder.files.items():
        found = sha256(folder.path / name)
        if found != wanted:
            raise ModelError(f"{folder.path / name}: sha256 is {found}, model.toml says {wanted}; copy the file again")


def sha256(path: Path) -> str:
    """The file's sha256 in lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parse(top: Fields, path: Path) -> ModelFolder:
    loader = top.choice("loader", LOADERS)
    name, version = top.text("name"), top.text("version")
    top.text("description", "")
    architecture = top.text("architecture", None if loader in BUILT_BY_NAME else "")
    trust_code = top.flag("trust_code")
    weights = top.text("weights")
    files = {file: str(digest) for file, digest in top.table("files").rest().items()}
    if weights not in {".", *files}:
        top.fault("weights", f"{weights!r} is not listed under [files]; list it with its sha256")
    shape, output, engine = top.table("input"), top.table("output"), top.table("engine")
    model_input = _input(shape)
    activation = output.choice("activation", ACTIVATIONS)
    labels = _labels(output.table("labels"), path)
    golden = tuple(_golden(row, path, labels) for row in top.tables("golden"))
    engine_spec = _engine(engine)
    top.raise_faults()
    return ModelFolder(
        path, name, version, loader, architecture, trust_code, path / weights, files,
        model_input, activation, labels, golden, engine_spec,
    )  # fmt: skip


def _input(fields: Fields) -> Input:
    size = fields.numbers("size", int, 2)
    resize = fields.number("resize", int, 0) or None
    interpolation = fields.choice("interpolation", tuple(INTERPOLATIONS))
    if min(size) < 1:
        fields.fault("size", f"must be [height, width] of at least 1 pixel, found {list(size)}")
    if resize is not None and resize < max(size):
        fields.fault("resize", f"must be at least the larger side of size {list(size)}, found {resize}")
    std = fields.numbers("std", float, 3)
    if min(std) <= 0:
        fields.fault("std", f"must be above 0, found {list(std)}")
    return Input(Geometry((size[0], size[1]), resize, interpolation), fields.numbers("mean", float, 3), std)


def _labels(fields: Fields, path: Path) -> Labels:
    names = {language: _lines(fields, path, language) for language in LANGUAGES if fields.has(language)}
    if not names:
        fields.fault("", f"must name a file for at least one of: {', '.join(LANGUAGES)}")
        return Labels({"en": ()})
    if len({len(lines) for lines in names.values()}) > 1:
        counts = ", ".join(f"{language} {len(lines)}" for language, lines in names.items())
        fields.fault("", f"must have as many lines in every language, found {counts}")
    return Labels(names)


def _lines(fields: Fields, path: Path, language: str) -> tuple[str, ...]:
    file = path / fields.text(language)
    try:
        lines = tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        fields.fault(language, f"cannot be read: {error}")
        return ()
    if blank := [number for number, line in enumerate(lines, 1) if not line]:
        fields.fault(language, f"{file.name} has a blank line {blank[0]}; one label a line, line number = index")
    return lines


def _golden(fields: Fields, path: Path, labels: Labels) -> Golden:
    golden = Golden(
        path / fields.text("image"), fields.number("index", int), fields.text("label"), fields.number("score", float)
    )
    spoken = [lines[golden.index] for lines in labels.names.values() if 0 <= golden.index < len(lines)]
    if golden.label not in spoken:
        fields.fault("label", f"{golden.label!r} is not what line {golden.index} of the labels says ({spoken})")
    return golden


def _engine(fields: Fields) -> EngineSpec:
    sizes = fields.numbers("batch_sizes", int, None)
    if 1 not in sizes or min(sizes) < 1:
        fields.fault("batch_sizes", f"must hold 1 and no number below it, found {list(sizes)}")
    return EngineSpec(fields.choice("name", ENGINES), fields.choice("precision", PRECISIONS), sizes)
