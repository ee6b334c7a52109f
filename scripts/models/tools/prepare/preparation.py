"""Prepare a model folder on this machine step by step, and record the results in its model.toml."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from scripts.base.console import say, step, warn
from scripts.cluster.hardware import read_hardware
from scripts.models.tools.prepare import calibration, decoding, networks
from scripts.models.tools.prepare.benchmark import BenchmarkResult, ModelUnderTest
from scripts.models.tools.prepare.effort import THOROUGH, Effort
from scripts.models.tools.prepare.measure import Bench, benchmark_candidates, measure_decoding, measure_scaling
from scripts.models.tools.prepare.merge import merge_measurements, with_decoding, with_scaling
from scripts.models.tools.rewrite import rewritten
from worker.contract.engine import EXACT, EngineSpec, Measurement, Scaling
from worker.contract.files import sha256, write_atomically
from worker.contract.machine import machine_kind
from worker.models.folder import ModelFolder, read_folder, verify_files

BUSY = 0.5  # load per CPU from other processes above which measurements are distorted


def prepare(path: Path, own_images: Path | None, effort: Effort = THOROUGH) -> None:
    """Prepare the folder at `path` on the images in `own_images`, or on generated ones if None.

    Raise ModelError if the folder is faulty, the images are too few, or the reference candidate cannot run.
    """
    folder = read_folder(path)
    verify_files(folder)
    _warn_where_busy()
    with tempfile.TemporaryDirectory(dir=path) as scratch:
        spec = _engine(folder, Path(scratch), own_images, effort)
    networks.remove_unused(path, spec.prepared.values())
    digests = {str(file.relative_to(path)): sha256(file) for file in networks.files(path)}
    manifest = path / "model.toml"
    write_atomically(manifest, rewritten(manifest.read_text(encoding="utf-8"), str(manifest), digests, spec))
    verify_files(read_folder(path))


def _engine(folder: ModelFolder, scratch: Path, own_images: Path | None, effort: Effort) -> EngineSpec:
    """Make the prepared networks, benchmark every candidate, and return the new [engine]."""
    calibration_images, check_images = _images(folder, own_images, scratch, effort)
    reused = reusable(folder.engine, own_images, effort)
    step("converting")
    hardware, quantised = read_hardware(), networks.holds_int8(folder)
    prepared = networks.add_missing(folder, reused, quantised, calibration_images)
    bench = Bench(folder, ModelUnderTest(folder.path, prepared, check_images, effort), hardware, quantised)
    step("measuring on one core")
    results = list(benchmark_candidates(bench))
    spec = merge_measurements(
        folder.engine, folder.loader, prepared, prepared.keys() - reused.keys(), [row for row, _ in results]
    )
    for row in spec.measured:
        if row.chosen and row.machine in {row.machine for row, _ in results}:
            say(f"   chosen for {row.machine}: {row.engine} {row.precision}")
    spec = with_scaling(spec, list(_scaling(bench, spec, results)))
    return _with_decoding(bench, spec, results[0][0], own_images, scratch)


def reusable(engine: EngineSpec, own_images: Path | None, effort: Effort) -> dict[str, str]:
    """Return the prepared networks that need not be made again, by name."""
    # The user's images, or more images than last time, give better int8 ranges: convert to int8 again.
    requantise = own_images is not None or (not effort.quick and any(row.quick for row in engine.measured))
    return {name: file for name, file in engine.prepared.items() if not requantise or name.endswith(EXACT)}


def _warn_where_busy() -> None:
    """Warn if other processes use the cores to be measured. Call it before any work of this process."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > BUSY * cores:
        warn(f"this machine is busy: load {load:.1f} on {cores} CPUs: the speeds will be too low: measure again later")


def _scaling(
    bench: Bench, spec: EngineSpec, results: Sequence[tuple[Measurement, BenchmarkResult]]
) -> Iterator[Scaling]:
    """Measure the choice for this machine's CPUs with each number of cores per worker."""
    choice = spec.choose(machine_kind())
    for row, result in results:
        if (row.machine, row.engine, row.precision) == (machine_kind(), choice.engine, choice.precision):
            step("measuring all cores at once")
            yield from measure_scaling(bench, row, result.memory)


def _with_decoding(
    bench: Bench, spec: EngineSpec, reference: Measurement, own_images: Path | None, scratch: Path
) -> EngineSpec:
    """Return `spec` with what shrinking images while they are decoded changes in the answers of `reference`."""
    step("comparing images shrunk while they are decoded with images decoded whole")
    files, pairs = calibration.files(bench.folder, own_images, decoding.IMAGES), scratch / "pairs.npy"
    decoding.save_pairs(bench.folder.input, files, pairs)
    rows = measure_decoding(bench, reference, pairs)
    if not rows:
        return spec
    spec = with_decoding(spec, rows)
    say(f'   decode = "{spec.decode}", unless [input] of model.toml says otherwise')
    return spec


def _images(folder: ModelFolder, own_images: Path | None, scratch: Path, effort: Effort) -> tuple[Path, Path]:
    """Return the paths of two .npy files: images to calibrate on, and others to compare answers on."""
    step(f"images: {own_images or 'generated'}")
    if own_images is None:
        say("   they show no object that a classifier knows; better set CALIBRATION=DIR to a folder of your own images")
    count = effort.images
    images = calibration.load(folder, own_images, count) if own_images else calibration.generate(folder, count)
    paths = scratch / "calibration.npy", scratch / "compared.npy"
    np.save(paths[0], images.calibration)
    np.save(paths[1], images.check)
    say(f"   {len(images.calibration)} to calibrate int8, {len(images.check)} others to compare answers")
    return paths
