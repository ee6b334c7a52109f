"""Prepare a model folder on this machine step by step, and record the results in its model.toml."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from scripts.base.console import say, step, warn
from scripts.cluster.hardware import read_hardware
from scripts.models.tools.prepare import calibration, networks
from scripts.models.tools.prepare.benchmark import BenchmarkResult, Subject
from scripts.models.tools.prepare.effort import WHOLE, Effort
from scripts.models.tools.prepare.measure import Bench, scaled, tried
from scripts.models.tools.prepare.merge import merge_measurements, with_scaling
from scripts.models.tools.rewrite import rewritten
from worker.contract.engine import EXACT, EngineSpec, Measurement, Scaling
from worker.contract.files import sha256, write_atomically
from worker.contract.machine import machine_kind
from worker.models.folder import ModelFolder, read_folder, verify_files

BUSY = 0.5  # load per CPU from other processes above which measurements are distorted


def prepare(path: Path, own: Path | None, effort: Effort = WHOLE) -> None:
    """Prepare the folder at `path` on the images in `own`, or on generated ones if None.

    Raise ModelError if the folder is faulty, the images are too few, or the reference candidate cannot run.
    """
    folder = read_folder(path)
    verify_files(folder)
    _warn_where_busy()
    with tempfile.TemporaryDirectory(dir=path) as shelf:
        spec = _engine(folder, Path(shelf), own, effort)
    networks.tidy(path, spec.prepared.values())
    digests = {str(file.relative_to(path)): sha256(file) for file in networks.files(path)}
    manifest = path / "model.toml"
    write_atomically(manifest, rewritten(manifest.read_text(encoding="utf-8"), str(manifest), digests, spec))
    verify_files(read_folder(path))


def _engine(folder: ModelFolder, shelf: Path, own: Path | None, effort: Effort) -> EngineSpec:
    """Make the prepared networks, benchmark every candidate, and return the new [engine]."""
    calibrated, compared = _images(folder, own, shelf, effort)
    # The user's images, or more images than last time, give better int8 ranges: convert to int8 again.
    better = own is not None or (not effort.quick and any(row.quick for row in folder.engine.measured))
    held = {name: file for name, file in folder.engine.prepared.items() if not better or name.endswith(EXACT)}
    step("converting")
    hardware, quantised = read_hardware(), networks.holds_int8(folder)
    prepared = networks.made(folder, held, quantised, calibrated)
    bench = Bench(folder, Subject(folder.path, prepared, compared, effort), hardware, quantised)
    step("measuring on one core")
    trials = list(tried(bench))
    spec = merge_measurements(
        folder.engine, folder.loader, prepared, prepared.keys() - held.keys(), [row for row, _ in trials]
    )
    for row in spec.measured:
        if row.chosen and row.machine in {row.machine for row, _ in trials}:
            say(f"   chosen for {row.machine}: {row.engine} {row.precision}")
    return with_scaling(spec, list(_scaling(bench, spec, trials)))


def _warn_where_busy() -> None:
    """Warn if other processes use the cores to be measured. Call it before any work of this process."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > BUSY * cores:
        warn(
            f"this machine is busy: load {load:.1f} on {cores} CPUs; figures will be low, measure again when it is not"
        )


def _scaling(
    bench: Bench, spec: EngineSpec, trials: Sequence[tuple[Measurement, BenchmarkResult]]
) -> Iterator[Scaling]:
    """Measure the choice for this machine's CPUs with each number of cores per worker."""
    choice = spec.choose(machine_kind())
    for row, trial in trials:
        if (row.machine, row.engine, row.precision) == (machine_kind(), choice.engine, choice.precision):
            step("measuring all cores at once")
            yield from scaled(bench, row, trial.memory)


def _images(folder: ModelFolder, own: Path | None, shelf: Path, effort: Effort) -> tuple[Path, Path]:
    """Return the paths of two .npy files: images to calibrate on, and others to compare answers on."""
    step(f"images: {own or 'generated'}")
    if own is None:
        say("   they show nothing a classifier knows; CALIBRATION=DIR takes images of your own, which is better")
    count = effort.images
    images = calibration.own(folder, own, count) if own else calibration.generated(folder, count)
    paths = shelf / "calibration.npy", shelf / "compared.npy"
    np.save(paths[0], images.calibration)
    np.save(paths[1], images.check)
    say(f"   {len(images.calibration)} to calibrate int8 on, {len(images.check)} others to compare answers on")
    return paths
