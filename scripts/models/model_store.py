"""The model folders of this machine: those under models/, those that the cluster serves, and the embedded one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, Cluster
from scripts.cluster.schema import SCHEMA

MODELS = ROOT / "models"
EMBEDDED = ROOT / "worker/photos"  # part of the kit, whether or not it is served
NAME = SCHEMA["models"]["name"]


@dataclass(frozen=True)
class StoredModel:
    """One model folder, its own name, and the names under which the cluster serves it."""

    name: str
    folder: Path
    served: tuple[str, ...] = ()

    @property
    def names(self) -> set[str]:
        return {self.name, *self.served}


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


def check_name(name: str) -> None:
    """Raise CommandError unless `name` is allowed in cluster.toml."""
    try:
        NAME.read(name)
    except ValueError:
        raise CommandError(f"NAME: found {name!r}, needed {NAME.needed}") from None


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
