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
        try:
            found[model.name] = _read(model, cluster.engine)
        except OSError as error:
            faults.append(
                f"{where}: {error.filename}: {error.strerror}: needed a model folder; is the models volume mounted?"
            )
        except (ValueError, LookupError, TypeError) as error:
            faults.append(f"{where}: {model.folder}/model.toml: cannot be read as a model folder: {error!r}")
    if faults:
        raise Refusal(*faults)
    return found


def _read(model: Model, wanted: str) -> Served:
    table = tomllib.loads((model.folder / "model.toml").read_text(encoding="utf-8"))
    engine = table["engine"]["name"] if wanted == AUTO else wanted
    if engine not in ENGINES:
        raise ValueError(f"engine/name: found {engine!r}, needed one of {', '.join(ENGINES)}")
    size = sum(file.stat().st_size for file in model.folder.rglob("*") if file.is_file())
    return Served(engine, model.folder / table["golden"][0]["image"], size)
