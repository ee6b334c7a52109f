"""What the control side needs to know of a model folder: that it is there, its engine, and a picture to try it on."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from scripts.cluster import Cluster, Model
from scripts.refusal import Refusal
from worker.settings import AUTO, ENGINES


@dataclass(frozen=True)
class Served:
    """One model as the control side sees it. The worker reads the whole of model.toml and judges it."""

    engine: str
    golden: Path
    bytes: int


def read_models(cluster: Cluster) -> dict[str, Served]:
    """Every model of `cluster` by name; raises Refusal for folders that are missing or cannot be read."""
    found: dict[str, Served] = {}
    faults: list[str] = []
    for index, model in enumerate(cluster.models):
        where = f"{cluster.source}: models/{index}/folder"
        if fault := _absence(model.folder):
            faults.append(f"{where}: {fault}")
            continue
        try:
            found[model.name] = _read(model, cluster.engine)
        except OSError as error:
            faults.append(f"{where}: {error.filename}: {error.strerror}: needed a model folder with a model.toml")
        except (ValueError, LookupError, TypeError) as error:
            faults.append(f"{where}: {model.folder}/model.toml: cannot be read as a model folder: {error!r}")
    if faults:
        raise Refusal(*faults)
    return found


def _absence(folder: Path) -> str | None:
    """What is wrong with a folder that is not there, or that holds nothing; None when there is something to read."""
    if not folder.exists():
        return f"{folder}: no such folder: name one that is there; is the models volume mounted?"
    if folder.is_dir() and not any(folder.iterdir()):
        return f"{folder}: found an empty folder, needed a model folder: copy one there, or mount the models volume"
    return None


def _read(model: Model, wanted: str) -> Served:
    table = tomllib.loads((model.folder / "model.toml").read_text(encoding="utf-8"))
    engine = table["engine"]["name"] if wanted == AUTO else wanted
    if engine not in ENGINES:
        raise ValueError(f"engine/name: found {engine!r}, needed one of {', '.join(ENGINES)}")
    size = sum(file.stat().st_size for file in model.folder.rglob("*") if file.is_file())
    return Served(engine, model.folder / table["golden"][0]["image"], size)
