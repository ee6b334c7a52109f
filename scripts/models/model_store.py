"""List the model folders of this machine: those under models/, those that the cluster serves, and the embedded one.

A folder counts as verified while its content hash equals the one that `make model-verify` last recorded. The records
are outside the folders, since a folder may be read-only and model.toml lists every file in it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.base.console import aligned, say, warn
from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, Cluster
from scripts.cluster.hardware import read_hardware
from scripts.cluster.models import content_hash
from scripts.cluster.schema import SCHEMA
from scripts.models import measurements
from worker.contract.declarations import EngineDeclaration
from worker.contract.decoding import read_decode
from worker.contract.engine import Choice, EngineSpec, read_engine
from worker.contract.engines import SAFE, needed_by
from worker.contract.files import write_atomically
from worker.contract.litter import own_files
from worker.contract.loaders import reads_texts
from worker.contract.machine import machine_kind
from worker.contract.toml_parser import read_toml
from worker.contract.toml_reader import ModelError, TomlReader

MODELS = ROOT / "models"
EMBEDDED = ROOT / "worker/photos"  # part of the kit, whether or not it is served
RECORDS_FILE = ".verified.json"
NAME = SCHEMA["models"]["name"]
COLUMNS = (
    "name", "version", "size", "licence", "loader", "engine", "precision", "images/s", "input", "labels", "served",
    "verified",
)  # fmt: skip


@dataclass(frozen=True)
class StoredModel:
    """One model folder, its own name, and the names under which the cluster serves it."""

    name: str
    folder: Path
    served: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        return {self.name, *self.served}


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


def entries(models: Path, cluster: Cluster) -> list[StoredModel]:
    """Return the folders in `models` by name, then the cluster's others, then the embedded one; each of them once.

    Raise CommandError if `models` cannot be read.
    """
    served: dict[Path, list[str]] = {}
    for model in cluster.models:
        served.setdefault(model.folder.resolve(), []).append(model.name)
    own = sorted(path for path in children(models) if path.is_dir() and not path.name.startswith("."))
    stored = [StoredModel(path.name, path, tuple(served.pop(path.resolve(), ()))) for path in own]
    stored += [StoredModel(names[0], folder, tuple(names)) for folder, names in served.items()]
    known = EMBEDDED.resolve() in {entry.folder.resolve() for entry in stored}
    return stored if known else [*stored, StoredModel(EMBEDDED.name, EMBEDDED)]


def select(stored: Sequence[StoredModel], name: str, variable: str = "NAME") -> list[StoredModel]:
    """Return the entries called `name`, the value of `variable`, or all for "". Raise CommandError if there is none."""
    matches = [entry for entry in stored if not name or name in entry.names]
    if not matches:
        known = ", ".join(sorted(set().union(*(entry.names for entry in stored))))
        raise CommandError(f"{variable}: found {name!r}, needed one of {known}")
    return matches


def named(stored: Sequence[StoredModel], name: str, variable: str = "NAME") -> StoredModel:
    """Return the entry whose folder is called `name`, else the first that is served under it.

    Raise CommandError if there is none.
    """
    return sorted(select(stored, name, variable), key=lambda entry: entry.name != name)[0]


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


def files(folder: Path) -> list[Path]:
    """Return every file below `folder` that is part of it, sorted."""
    return own_files(folder)


def is_verified(models: Path, folder: Path) -> bool:
    """Return whether the folder is unchanged since it was last verified."""
    recorded = _records(models).get(str(folder.resolve()))
    return recorded is not None and recorded == content_hash(folder)


def record(models: Path, folder: Path, good: bool) -> None:
    """Record the folder's present content as verified if `good`, else remove its record."""
    records = _records(models)
    records.pop(str(folder.resolve()), None)
    if good:
        records[str(folder.resolve())] = content_hash(folder)
    try:
        models.mkdir(parents=True, exist_ok=True)
        write_atomically(models / RECORDS_FILE, json.dumps(records, indent=1) + "\n")
    except OSError as error:
        warn(f"{error.filename}: {error.strerror}: the result cannot be recorded for `make models`")


def machine_kind_here() -> str:
    """Return the machine kind that models run on here: of the first GPU, or of the CPUs if there is none."""
    gpus = read_hardware().gpus
    return machine_kind(gpus[0].uuid if gpus else "")


def show(models: Path, cluster: Cluster, name: str) -> None:
    """Print one line for each model called `name` ("": every model); with a name, also print its measurements."""
    machine, faults = machine_kind_here(), []
    rows: list[Sequence[str]] = [COLUMNS]
    summaries = [(entry, read_summary(entry.folder)) for entry in select(entries(models, cluster), name)]
    for entry, summary in summaries:
        rows.append(list(_row(models, entry, summary, machine)))
        faults += [f"{entry.name}: {summary.fault}"] if summary.fault else []
    say(aligned(rows))
    for entry, summary in summaries:
        for text in summary.description.values():
            say(f"{entry.name}: {text}")
    for _, summary in summaries if name else ():
        measurements.show(summary.engine, summary.decode)
    for fault in faults:
        warn(fault)


def megabytes(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB"


def check_name(name: str) -> None:
    """Raise CommandError unless `name` is allowed in cluster.toml."""
    try:
        NAME.read(name)
    except ValueError:
        raise CommandError(f"NAME: found {name!r}, needed {NAME.needed}") from None


def _row(models: Path, entry: StoredModel, summary: ModelSummary, machine: str) -> Iterator[str]:
    choice, rate = summary.choice(machine), summary.images_per_s(machine)
    count = next(iter(summary.labels.values()), 0)
    served = "no" if not entry.served else "yes" if entry.served == (entry.name,) else f"as {', '.join(entry.served)}"
    yield entry.name
    yield summary.version
    yield megabytes(sum(path.stat().st_size for path in files(entry.folder)))
    yield summary.licence
    yield summary.loader
    yield from (choice.engine, choice.precision) if choice else ("", "")
    yield f"{rate:.1f}" if rate else "not measured" if choice else ""
    yield " x ".join(map(str, summary.input)) if summary.input else ""
    yield f"{count} {'+'.join(summary.labels)}" if summary.labels else ""
    yield served
    yield "yes" if is_verified(models, entry.folder) else "no"


def children(models: Path) -> Iterator[Path]:
    """Yield what is in `models`, which may be missing; raise CommandError if it cannot be read."""
    try:
        yield from models.iterdir()
    except FileNotFoundError:
        return
    except OSError as error:
        raise CommandError(
            f"{models}: {error.strerror}: needed the folder of the model folders: set MODELS="
        ) from error


def _records(models: Path) -> dict[str, Any]:
    try:
        records = json.loads((models / RECORDS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return records if isinstance(records, dict) else {}
