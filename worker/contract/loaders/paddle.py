"""Declare the loader of PaddlePaddle's inference networks: a .pdmodel or .json, and a .pdiparams beside it."""

from pathlib import Path

from worker.contract.declarations import LoaderDeclaration

GRAPHS, WEIGHTS = (".pdmodel", ".json"), ".pdiparams"


def find_graph(path: Path) -> Path | None:
    """Return the network's file in the folder `path`, or beside the file `path`; None if there is none or several."""
    weights = sorted(path.glob(f"*{WEIGHTS}")) if path.is_dir() else [path.with_suffix(WEIGHTS)]
    found = [file.with_suffix(suffix) for file in weights for suffix in GRAPHS if file.with_suffix(suffix).is_file()]
    return found[0] if len(weights) == 1 and weights[0].is_file() and found else None


def _detects(path: Path) -> bool:
    return find_graph(path) is not None and (path.is_dir() or path.suffix in (*GRAPHS, WEIGHTS))


LOADER = LoaderDeclaration(
    name="paddle",
    precedence=120,
    module="converted",
    format="paddle",
    suffixes=(".pdmodel",),
    detects=_detects,
    marker=f"NAME.json and NAME{WEIGHTS}",
    converted_to="openvino",
    settings=("inference.yml",),
    weights=(r"inference\.(pdmodel|json|pdiparams)", r"model\.pd(model|iparams)"),
)
