"""The networks that a folder holds beside its own weights: which there can be, and making those that are not there."""

import tempfile
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from scripts.base.console import say, warn
from scripts.models.tools.prepare.apart import Failed, everywhere, run_apart
from scripts.models.tools.rewrite import PREPARED_FOLDER
from worker.contract.engine import EngineSpec
from worker.contract.fields import ModelError
from worker.models.folder import PREPARED, ModelFolder, read_folder
from worker.models.loaders import load_network

LIMIT_S = 3600.0  # of one conversion: a giant on few old cores; whatever takes longer hangs
FILES = {  # by engine and precision; int8 is made of f32
    ("openvino", "f32"): "f32.xml",
    ("onnxruntime", "f32"): "f32.onnx",
    ("openvino", "int8"): "int8.xml",
    ("onnxruntime", "int8"): "int8.onnx",
}


def holds_int8(folder: ModelFolder) -> bool:
    """Whether the folder's own weights are an int8 network; raises ModelError when they cannot be read."""
    if folder.loader not in PREPARED:
        return False
    try:
        return run_apart(everywhere(), LIMIT_S, _is_quantised, folder.weights)
    except Failed as failure:
        raise ModelError(f"{folder.weights}: cannot be read: {failure}") from failure


def made(folder: ModelFolder, prepared: Mapping[str, str], quantised: bool, pictures: Path) -> dict[str, str]:
    """`prepared`, networks by name, and those it lacks, made now: paths inside the folder.

    `quantised` says whether the folder's own weights are int8 already; `pictures` is a .npy file of what int8 is
    calibrated on, uint8 [N, H, W, C]. What cannot be made is told.
    """
    known = dict(prepared)
    for (engine, precision), file in FILES.items():
        name = f"{engine}-{precision}"
        source = None if name in known or quantised else _source(folder, known, engine, precision)
        if source is None:
            continue
        try:
            _make(folder, name, source, pictures, file)
            known[name] = f"{PREPARED_FOLDER}/{file}"
            say(f"   {known[name]}")
        except Failed as failure:
            warn(f"{name} is left out, for it cannot be made: {failure}")
    return known


def _source(folder: ModelFolder, known: Mapping[str, str], engine: str, precision: str) -> Path | None:
    """What the network is made of: f32 of what torch builds, int8 of the engine's f32; None where there is no such."""
    if precision == "f32":
        return None if folder.loader in PREPARED else folder.weights
    file = EngineSpec("", "", (), prepared=known).network(folder.loader, engine, "f32")
    return None if file is None else folder.path / file if file else folder.weights


def files(folder: Path) -> list[Path]:
    """Every prepared file of the folder at `folder`, sorted."""
    return sorted(path for path in (folder / PREPARED_FOLDER).rglob("*") if path.is_file())


def tidy(folder: Path, kept: Collection[str]) -> None:
    """Take away the prepared files of all networks but those at `kept`, paths inside the folder at `folder`."""
    of_kept = {folder / part for file in kept for part in (file, *_weights_of(file))}
    for path in files(folder):
        if path not in of_kept:
            path.unlink()
    with suppress(OSError):  # there is something in it, or it is not there
        (folder / PREPARED_FOLDER).rmdir()


def _weights_of(file: str) -> tuple[str, ...]:
    """Where a network may keep its weights beside its own file: OpenVINO's always does, ONNX when it is large."""
    return (f"{file.removesuffix('.xml')}.bin",) if file.endswith(".xml") else (f"{file}.data",)


def _make(folder: ModelFolder, name: str, source: Path, pictures: Path, file: str) -> None:
    """Make one network in a folder of its own and move it to its place; raises Failed."""
    target = folder.path / PREPARED_FOLDER
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.path) as draft:
        run_apart(
            everywhere(),
            LIMIT_S,
            make,
            folder.path,
            name,
            source,
            pictures,
            Path(draft) / file,
        )
        for path in Path(draft).iterdir():
            path.replace(target / path.name)


def _is_quantised(weights: Path) -> bool:
    from scripts.models.tools.prepare import quantise

    return quantise.is_quantised(weights)


def make(folder: Path, name: str, source: Path, pictures: Path, target: Path) -> None:
    """Write `target`, the network called `name`: f32 from the folder's own weights, int8 from the network `source`."""
    from scripts.models.tools.prepare import convert, quantise

    read = read_folder(folder)
    match name:
        case "openvino-f32":
            convert.to_openvino(load_network(read), read.input, target)
        case "onnxruntime-f32":
            convert.to_onnx(load_network(read), read.input, target)
        case "openvino-int8":
            quantise.to_openvino(source, np.load(pictures), read.input, target)
        case "onnxruntime-int8":
            quantise.to_onnx(source, np.load(pictures), read.input, target)
