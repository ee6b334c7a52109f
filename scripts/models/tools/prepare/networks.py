"""The networks that a folder holds beside its own weights: which there can be, and making those that are not there."""

import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from scripts.base.console import say, warn
from scripts.models.tools.prepare.isolated import Failed, everywhere, run_isolated
from scripts.models.tools.rewrite import PREPARED_FOLDER
from worker.contract.declarations import TORCH, PreparedNetworks
from worker.contract.engine import EXACT, QUANTISED, EngineSpec
from worker.contract.engines import ENGINES, network_files
from worker.contract.fields import ModelError
from worker.contract.loaders import format_of
from worker.models.folder import ModelFolder, read_folder
from worker.models.loaders import is_quantised, load_network

LIMIT_S = 3600.0  # of one conversion: a giant on few old cores; whatever takes longer hangs


def holds_int8(folder: ModelFolder) -> bool:
    """Whether the folder's own weights are an int8 network; raises ModelError when they cannot be read."""
    if format_of(folder.loader) == TORCH:
        return False
    try:
        return run_isolated(everywhere(), LIMIT_S, is_quantised, folder.loader, folder.weights)
    except Failed as failure:
        raise ModelError(f"{folder.weights}: cannot be read: {failure}") from failure


def made(folder: ModelFolder, prepared: Mapping[str, str], quantised: bool, images: Path) -> dict[str, str]:
    """`prepared`, networks by name, and those it lacks, made now: paths inside the folder.

    `quantised` says whether the folder's own weights are int8 already; `images` is a .npy file of what int8 is
    calibrated on, uint8 [N, H, W, C]. What cannot be made is told.
    """
    known = dict(prepared)
    for name, (engine, kind, precision) in wanted().items():
        source = None if name in known or quantised else _source(folder, known, engine, precision)
        if source is None:
            continue
        try:
            file = f"{precision}{kind.suffix}"
            _make(folder, (kind.name, precision), source, images, file)
            known[name] = f"{PREPARED_FOLDER}/{file}"
            say(f"   {known[name]}")
        except Failed as failure:
            warn(f"{name} is left out, for it cannot be made: {failure}")
    return known


def wanted() -> dict[str, tuple[str, PreparedNetworks, str]]:
    """Return what can be prepared by name: an engine that runs it, its kind and its precision.

    Those in f32 come first, for int8 is made of them.
    """
    found: dict[str, tuple[str, PreparedNetworks, str]] = {}
    for precision in (EXACT, QUANTISED):
        for name, engine in ENGINES.items():
            if engine.prepared and precision in engine.precisions:
                found.setdefault(engine.prepared.called(precision), (name, engine.prepared, precision))
    return found


def _source(folder: ModelFolder, known: Mapping[str, str], engine: str, precision: str) -> Path | None:
    """What the network is made of: f32 of what torch builds, int8 of the engine's f32; None where there is no such."""
    if precision == EXACT:
        return folder.weights if format_of(folder.loader) == TORCH else None
    file = EngineSpec("", "", (), prepared=known).network(folder.loader, engine, EXACT)
    return None if file is None else folder.path / file if file else folder.weights


def files(folder: Path) -> list[Path]:
    """Every prepared file of the folder at `folder`, sorted."""
    return sorted(path for path in (folder / PREPARED_FOLDER).rglob("*") if path.is_file())


def tidy(folder: Path, kept: Collection[str]) -> None:
    """Take away the prepared files of all networks but those at `kept`, paths inside the folder at `folder`."""
    of_kept = {folder / part for file in kept for part in network_files(file)}
    for path in files(folder):
        if path not in of_kept:
            path.unlink()
    with suppress(OSError):  # there is something in it, or it is not there
        (folder / PREPARED_FOLDER).rmdir()


def _make(folder: ModelFolder, kind: tuple[str, str], source: Path, images: Path, file: str) -> None:
    """Make one network in a folder of its own and move it to its place; raises Failed."""
    target = folder.path / PREPARED_FOLDER
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.path) as draft:
        run_isolated(everywhere(), LIMIT_S, make, folder.path, kind, source, images, Path(draft) / file)
        for path in Path(draft).iterdir():
            path.replace(target / path.name)


def make(folder: Path, kind: tuple[str, str], source: Path, images: Path, target: Path) -> None:
    """Write `target`, a network of `kind` (converter and precision), which is loaded after this process is pinned.

    In f32 it is made of the folder's own weights, in int8 of the network `source`.
    """
    from scripts.models.tools.prepare.converters import converter

    (name, precision), read = kind, read_folder(folder)
    if precision == QUANTISED:
        converter(name).quantise(source, np.load(images), read.input, target)
    else:
        converter(name).convert(load_network(read), read.input, target)
