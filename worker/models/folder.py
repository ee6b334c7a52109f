"""Read a model folder: parse `model.toml` strictly, and verify the sha256 of every file."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from worker.contract.decoding import EXACT
from worker.contract.engine import EngineSpec, read_engine
from worker.contract.files import sha256
from worker.contract.litter import is_litter
from worker.contract.loaders import LOADERS, loaders_with
from worker.contract.toml_parser import read_toml
from worker.contract.toml_reader import ModelError, TomlReader
from worker.models.input import Input, read_input
from worker.models.output import Golden, read_golden, read_output
from worker.models.scores import Output
from worker.models.zero_shot import ZeroShot, read_zero_shot


@dataclass(frozen=True)
class ModelFolder:
    """The content of `model.toml`.

    `weights` is the loader's path: a file, or the folder itself. `files` are sha256 by path inside the folder.
    `trust_code` lets the loader run Python code from the folder.
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
    output: Output
    golden: tuple[Golden, ...]
    engine: EngineSpec
    zero_shot: ZeroShot | None = None
    description: Mapping[str, str] = field(default_factory=dict)  # by language
    licence: str = ""

    @property
    def digest(self) -> str:
        """Return what tells its files, such as networks and labels, from those of another folder."""
        listed = "".join(f"{name} {digest}\n" for name, digest in sorted(self.files.items()))
        return hashlib.sha256(listed.encode()).hexdigest()[:12]


def read_folder(path: Path) -> ModelFolder:
    """Return the content of `path`/model.toml. Raise ModelError with all its faults, one per line."""
    source = path / "model.toml"
    if not path.is_dir():
        raise ModelError(f"{path}: no such model folder; check the path and that the models volume is mounted")
    if not source.is_file():
        raise ModelError(f"{source}: not found; a model folder needs a model.toml")
    return _parse(TomlReader(read_toml(source), str(source)), path)


def verify_files(folder: ModelFolder) -> None:
    """Verify the sha256 of every file of the folder. Raise ModelError if a file is missing, changed or not listed.

    What file managers and editors leave is passed over.
    """
    present = {str(file.relative_to(folder.path)) for file in folder.path.rglob("*") if file.is_file()}
    present = {name for name in present if name in folder.files or not is_litter(name)}
    if missing := sorted(folder.files.keys() - present):
        raise ModelError(f"{folder.path}: missing {', '.join(missing)}; copy the model folder again")
    if unlisted := sorted(present - folder.files.keys() - {"model.toml"}):
        raise ModelError(f"{folder.path}: {', '.join(unlisted)} not listed under [files]; remove or list it")
    for name, expected in folder.files.items():
        actual = sha256(folder.path / name)
        if actual != expected:
            raise ModelError(
                f"{folder.path / name}: sha256 is {actual}, model.toml says {expected}; copy the file again"
            )


def _parse(reader: TomlReader, path: Path) -> ModelFolder:
    loader = reader.choice("loader", loaders_with(converted_to=""))
    declaration = LOADERS[loader]
    name, version = reader.text("name"), reader.text("version")
    description, licence = reader.description("description"), reader.text("licence", "")
    reader.text("source", "")
    architecture = reader.text("architecture", None if declaration.needs_architecture else "")
    trust_code = reader.flag("trust_code")
    weights = reader.text("weights")
    files = {file: str(digest) for file, digest in reader.table("files").remaining().items()}
    if weights not in {".", *files}:
        reader.fault("weights", f"{weights!r} is not listed under [files]; list it with its sha256")
    model_input, output, engine = (
        read_input(reader.table("input")), read_output(reader.table("output"), path, files),
        read_engine(reader.table("engine"), loader, files),
    )  # fmt: skip
    if model_input.exact is None:
        model_input = replace(model_input, exact=engine.decode == EXACT)
    golden = tuple(read_golden(row, path, files, output) for row in reader.tables("golden"))
    languages = tuple(output.labels.names)
    zero_shot = read_zero_shot(reader.table("zero_shot"), languages) if declaration.reads_texts else None
    reader.raise_faults()
    return ModelFolder(
        path, name, version, loader, architecture, trust_code, path / weights, files,
        model_input, output, golden, engine, zero_shot, description, licence,
    )  # fmt: skip
