"""Make the prepared networks of a folder: list the possible ones and convert those that are missing."""

import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from scripts.base.console import say, warn
from scripts.models.tools.prepare.isolated import ProcessFailed, all_cpus, run_isolated
from scripts.models.tools.rewrite import PREPARED_FOLDER
from worker.contract.declarations import TORCH, PreparedNetworks
from worker.contract.engine import EXACT, QUANTISED, EngineSpec
from worker.contract.engines import ENGINES, network_files
from worker.contract.loaders import format_of
from worker.contract.toml_reader import ModelError
from worker.models.folder import ModelFolder, read_folder
from worker.models.loaders import is_quantised, load_network

CONVERSION_TIMEOUT_S = 3600.0  # of one conversion: enough for a very large network on a few old cores


def holds_int8(folder: ModelFolder) -> bool:
    """Return whether the folder's own weights are an int8 network. Raise ModelError if they cannot be read."""
    if format_of(folder.loader) == TORCH:
        return False
    try:
        return run_isolated(all_cpus(), CONVERSION_TIMEOUT_S, is_quantised, folder.loader, folder.weights)
    except ProcessFailed as failure:
        raise ModelError(f"{folder.weights}: cannot be read: {failure}") from failure


def add_missing(folder: ModelFolder, prepared: Mapping[str, str], quantised: bool, images: Path) -> dict[str, str]:
    """Make the networks missing from `prepared` and return all: paths inside the folder by name.

    `quantised` says whether the folder's own weights are int8 already; `images` is a .npy file of calibration images,
    uint8 [N, H, W, C]. A conversion that fails prints a warning and is left out.
    """
    networks = dict(prepared)
    for name, (engine, kind, precision) in possible_networks().items():
        source = None if name in networks or quantised else _source(folder, networks, engine, precision)
        if source is None:
            continue
        try:
            file = f"{precision}{kind.suffix}"
            _make_network(folder, (kind.name, precision), source, images, file)
            networks[name] = f"{PREPARED_FOLDER}/{file}"
            say(f"   {networks[name]}")
        except ProcessFailed as failure:
            warn(f"{name} is left out: it cannot be made: {failure}")
    return networks


def possible_networks() -> dict[str, tuple[str, PreparedNetworks, str]]:
    """Return each network that can be prepared, by name: an engine that runs it, its kind and its precision.

    Those in f32 come first, since int8 is made from them.
    """
    possible: dict[str, tuple[str, PreparedNetworks, str]] = {}
    for precision in (EXACT, QUANTISED):
        for name, engine in ENGINES.items():
            if engine.prepared and precision in engine.precisions:
                possible.setdefault(engine.prepared.name_for(precision), (name, engine.prepared, precision))
    return possible


def _source(folder: ModelFolder, networks: Mapping[str, str], engine: str, precision: str) -> Path | None:
    """Return the file to convert: the weights that torch loads for f32, the engine's f32 network for int8.

    None if the folder has no such file.
    """
    if precision == EXACT:
        return folder.weights if format_of(folder.loader) == TORCH else None
    file = EngineSpec("", "", (), prepared=networks).network(folder.loader, engine, EXACT)
    return None if file is None else folder.path / file if file else folder.weights


def files(folder: Path) -> list[Path]:
    """Return every prepared file in `folder`, sorted."""
    return sorted(path for path in (folder / PREPARED_FOLDER).rglob("*") if path.is_file())


def remove_unused(folder: Path, used: Collection[str]) -> None:
    """Delete every prepared file in `folder` that belongs to none of the networks `used`, paths inside it."""
    used_files = {folder / part for file in used for part in network_files(file)}
    for path in files(folder):
        if path not in used_files:
            path.unlink()
    with suppress(OSError):  # it is not empty, or does not exist
        (folder / PREPARED_FOLDER).rmdir()


def _make_network(folder: ModelFolder, kind: tuple[str, str], source: Path, images: Path, file: str) -> None:
    """Make one network in a temporary folder, then move it into place. Raise ProcessFailed if that fails."""
    target = folder.path / PREPARED_FOLDER
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.path) as draft:
        run_isolated(
            all_cpus(), CONVERSION_TIMEOUT_S, make_network, folder.path, kind, source, images, Path(draft) / file
        )
        for path in Path(draft).iterdir():
            path.replace(target / path.name)


def make_network(folder: Path, kind: tuple[str, str], source: Path, images: Path, target: Path) -> None:
    """Write `target`, a network of `kind` (converter and precision).

    An f32 network is made from the folder's own weights, an int8 one from the network `source`. The converter is
    imported here because this process must be pinned first.
    """
    from scripts.models.tools.prepare.converters import converter

    (name, precision), model = kind, read_folder(folder)
    if precision == QUANTISED:
        converter(name).quantise(source, np.load(images), model.input, target)
    else:
        converter(name).convert(load_network(model), model.input, target)
