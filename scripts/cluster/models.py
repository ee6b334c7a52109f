"""Read what planning needs from a model folder: the engine on this machine, its size, and a golden image."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster
from worker.contract.declarations import EngineDeclaration
from worker.contract.engine import EngineSpec, Scaling, read_engine
from worker.contract.engines import ENGINES, needed_by, network_files
from worker.contract.files import sha256
from worker.contract.litter import own_files
from worker.contract.loaders import reads_texts
from worker.contract.machine import machine_kind
from worker.contract.settings import AUTO
from worker.contract.toml_parser import read_toml
from worker.contract.toml_reader import ModelError, TomlReader

PREPARED_FOLDER = "prepared"  # inside a model folder; a test compares it with the name that model-prepare uses


@dataclass(frozen=True)
class ModelInfo:
    """One model as planning sees it; the worker reads and checks the whole of model.toml."""

    engine: str  # runs the model on this machine
    golden: Path
    bytes: int  # size of the files that the engine loads
    scaling: tuple[Scaling, ...] = ()  # performance by cores per worker on this kind of machine
    texts: bool = False  # whether the model compares images with texts

    @property
    def needs(self) -> EngineDeclaration:
        """Return the engine whose packages and memory a worker needs."""
        return needed_by(self.engine, self.texts)


@dataclass(frozen=True)
class Spec:
    """The part of one model.toml that planning needs, independent of the machine."""

    folder: Path
    loader: str
    golden: Path
    engine: EngineSpec

    def model_info(self, engine: str, machines: Collection[str]) -> ModelInfo:
        """Return the model as it runs on `machines` (machine kinds), on `engine` or, if "auto", the best."""
        choices = [self.engine.choose(machine, engine) for machine in machines]
        # With slots of two kinds, prefer torch: its environment and image contain the other engines, too.
        choice = next((choice for choice in choices if ENGINES[choice.engine].torch), choices[0])
        network = self.engine.network(self.loader, choice.engine, choice.precision)
        texts = reads_texts(self.loader)
        return ModelInfo(
            choice.engine,
            self.golden,
            _size(self.folder, network) + (_size(self.folder, None) if network and texts else 0),
            # Scaling was measured with the engine that "auto" chooses, and says nothing of another one.
            tuple(row for row in self.engine.scaling if row.machine == machine_kind()) if engine == AUTO else (),
            texts,
        )


def read_models(cluster: Cluster, machines: Collection[str] = ()) -> dict[str, ModelInfo]:
    """Return every model of `cluster` by name; raise CommandError if a folder is missing or cannot be read.

    `machines` are the machine kinds of its slots (worker.contract.machine); the default is this machine's CPUs.
    """
    return model_infos(read_specs(cluster), cluster.engine, machines or [machine_kind()])


def model_infos(specs: Mapping[str, Spec], engine: str, machines: Collection[str]) -> dict[str, ModelInfo]:
    """Return every model as it runs on `machines` (machine kinds), by name."""
    return {name: spec.model_info(engine, machines) for name, spec in specs.items()}


def read_specs(cluster: Cluster) -> dict[str, Spec]:
    """Return the Spec of every model of `cluster` by name; raise CommandError with a line for every fault."""
    specs: dict[str, Spec] = {}
    faults: list[str] = []
    for index, model in enumerate(cluster.models):
        key = f"{cluster.source}: models/{index}/folder"
        if fault := missing_folder_fault(model.folder):
            faults.append(f"{key}: {fault}")
            continue
        try:
            specs[model.name] = _read(model.folder)
        except ModelError as error:
            faults += [f"{key}: {line}" for line in str(error).splitlines()]
        except OSError as error:
            faults.append(f"{key}: {error.filename}: {error.strerror}: needed a model folder with a model.toml")
        except (ValueError, LookupError, TypeError) as error:
            faults.append(f"{key}: {model.folder}/model.toml: cannot be read as a model folder: {error!r}")
    if faults:
        raise CommandError(*faults)
    return specs


def content_hash(folder: Path) -> str:
    """Return one sha256 (hex) over the names and contents of the files in `folder`. Raise OSError if unreadable."""
    digest = hashlib.sha256()
    for path in own_files(folder):
        digest.update(f"{path.relative_to(folder)}\0{sha256(path)}\n".encode())
    return digest.hexdigest()


def missing_folder_fault(folder: Path) -> str | None:
    """Return the fault of a folder that does not exist or is empty; None if there is something to read."""
    if not folder.exists():
        return f"{folder}: no such folder: name an existing one; is the models volume mounted?"
    if folder.is_dir() and not any(folder.iterdir()):
        return f"{folder}: found an empty folder, needed a model folder: copy one there, or mount the models volume"
    return None


def _read(folder: Path) -> Spec:
    """Return the Spec of a model folder.

    Raise ModelError for a fault, or LookupError, TypeError or ValueError for a table of another shape.
    """
    source = folder / "model.toml"
    table = read_toml(source)
    loader, fields = table["loader"], TomlReader(table["engine"], str(source), "engine/")
    spec = read_engine(fields, loader, table["files"])
    fields.raise_faults()
    return Spec(folder, loader, folder / table["golden"][0]["image"], spec)


def _size(folder: Path, network: str | None) -> int:
    """Return the bytes to load: the prepared `network` and its weights, or without one all files outside prepared/."""
    if network:
        files = {folder / file for file in network_files(network)}
    else:
        files = set(folder.rglob("*")) - set((folder / PREPARED_FOLDER).rglob("*"))
    return sum(file.stat().st_size for file in files if file.is_file())
