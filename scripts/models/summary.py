"""Read the main fields of a model folder, whether or not it can be served."""

from dataclasses import dataclass, field
from pathlib import Path

from scripts.cluster.hardware import read_hardware
from worker.contract.declarations import EngineDeclaration
from worker.contract.decoding import read_decode
from worker.contract.engine import Choice, EngineSpec, read_engine
from worker.contract.engines import SAFE, needed_by
from worker.contract.loaders import reads_texts
from worker.contract.machine import machine_kind
from worker.contract.toml_parser import read_toml
from worker.contract.toml_reader import ModelError, TomlReader


@dataclass(frozen=True)
class ModelSummary:
    """The main fields of a model.toml; if it cannot be read, `fault` says why and the others are empty."""

    version: str = ""
    loader: str = ""
    engine: EngineSpec | None = None
    labels: dict[str, int] = field(default_factory=dict)  # number of labels by language
    fault: str = ""
    input: tuple[int, int] | None = None  # height and width in pixels
    licence: str = ""
    description: dict[str, str] = field(default_factory=dict)  # by language
    decode: str = ""  # of [input]; "" leaves it to what was measured

    def choice(self, machine: str) -> Choice | None:
        """Return the engine and precision for a machine of this kind; None if model.toml cannot be read."""
        return self.engine.choose(machine) if self.engine else None

    def images_per_s(self, machine: str) -> float | None:
        """Return the measured speed of the choice for a machine of this kind; None if it was not measured."""
        rows = self.engine.measured if self.engine else ()
        return next((row.images_per_s for row in rows if row.machine == machine and row.chosen), None)

    def needs(self, machine: str) -> EngineDeclaration:
        """Return the engine whose packages the model needs on this machine kind; SAFE if model.toml is unreadable."""
        choice = self.choice(machine)
        return needed_by(choice.engine, reads_texts(self.loader)) if choice else SAFE


def read_summary(folder: Path) -> ModelSummary:
    """Return the summary of the folder's model.toml; an unreadable one gives a summary with `fault`."""
    try:
        table = read_toml(folder / "model.toml")
        labels = {
            language: len((folder / file).read_text(encoding="utf-8").splitlines())
            for language, file in table["output"]["labels"].items()
        }
        loader = str(table["loader"])
        fields = TomlReader(table["engine"], f"{folder}/model.toml", "engine/")
        engine = read_engine(fields, loader, table["files"])
        fields.raise_faults()
        height, width = table["input"]["size"]
        top = TomlReader(table, f"{folder}/model.toml")
        licence, description = top.text("licence", ""), top.description("description")
        decode = read_decode(TomlReader(table["input"], f"{folder}/model.toml", "input/"))
        return ModelSummary(
            str(table["version"]), loader, engine, labels, "", (height, width), licence, description, decode
        )
    except ModelError as error:
        return ModelSummary(fault=str(error).splitlines()[0])
    except OSError as error:
        return ModelSummary(fault=f"{error.filename}: {error.strerror}")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return ModelSummary(fault=f"{folder}/model.toml: cannot be read as a model folder: {error!r}")


def machine_kind_here() -> str:
    """Return the machine kind that models run on here: of the first GPU, or of the CPUs if there is none."""
    gpus = read_hardware().gpus
    return machine_kind(gpus[0].uuid if gpus else "")
