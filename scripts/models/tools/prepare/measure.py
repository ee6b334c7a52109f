"""Benchmark every engine and precision that can run a folder's network on this machine, and print the progress."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.base.console import say, warn
from scripts.cluster.cpu_sets import physical_cores
from scripts.cluster.hardware import Hardware
from scripts.models.tools.prepare import scaling, select
from scripts.models.tools.prepare.benchmark import BenchmarkResult, Candidate, ModelUnderTest, run_benchmark
from scripts.models.tools.prepare.decoding import compare_decoding
from scripts.models.tools.prepare.isolated import Placement, ProcessFailed, run_isolated
from worker.contract.decoding import DecodingMeasurement
from worker.contract.engine import EXACT, QUANTISED, EngineSpec, Measurement, Scaling
from worker.contract.engines import ENGINES
from worker.contract.machine import machine_kind
from worker.contract.toml_reader import ModelError
from worker.models.folder import ModelFolder

BENCHMARK_TIMEOUT_S = 900.0  # of one benchmark, whose parts are limited: a longer one hangs
MEMORY_SHARE = 0.8  # share of the machine's memory that all workers together may use


@dataclass(frozen=True)
class Bench:
    """The model to benchmark and the machine; `quantised` says whether the folder's own weights are int8 already."""

    folder: ModelFolder
    model: ModelUnderTest
    hardware: Hardware
    quantised: bool

    def core(self, gpu: str = "") -> Placement:
        """Return the last core, since other processes tend to run on the first ones; `gpu` is a UUID, "" for none."""
        return Placement(scaling.cpu_numbers(physical_cores(self.hardware.cpus)[-1:]), gpu)


def candidates(bench: Bench) -> Iterator[Candidate]:
    """Yield every candidate on this machine, those on CPUs first; one GPU of each kind stands for all of that kind."""
    cpus = machine_kind()
    for name, engine in ENGINES.items():
        yield from (
            Candidate(name, precision, cpus) for precision in engine.cpu if _has_network(bench, name, precision)
        )
    gpus = {machine_kind(gpu.uuid): gpu.uuid for gpu in reversed(bench.hardware.gpus)}
    for machine, uuid in gpus.items():
        for name, engine in ENGINES.items():
            precisions = (precision for precision in engine.gpu if _has_network(bench, name, precision))
            yield from (Candidate(name, precision, machine, uuid) for precision in precisions)


def _has_network(bench: Bench, engine: str, precision: str) -> bool:
    """Return whether `engine` has a network in `precision`."""
    spec = EngineSpec(engine, EXACT, (1,), prepared=bench.model.prepared)
    network = spec.network(bench.folder.loader, engine, precision)
    if network == "":  # the folder's own weights, which are either int8 or not
        return bench.quantised == (precision == QUANTISED)
    return network is not None


def benchmark_candidates(bench: Bench) -> Iterator[tuple[Measurement, BenchmarkResult]]:
    """Yield the row and the benchmark of every candidate that runs and answers the golden images as recorded.

    The first is the reference for the others: torch in f32, or the folder's own network if torch cannot load it. Raise
    ModelError if the reference does not run.
    """
    reference, *others = candidates(bench)
    if not ENGINES[reference.engine].torch:
        say(f"   answers are compared with {reference}: this folder has no network for torch")
    reference_result = _benchmark(bench, reference)
    if reference_result is None:
        raise ModelError(f"{bench.folder.path}: {reference} must run: the others are compared with it")
    _print_class_count(reference_result.logits[:, bench.folder.output.main].argmax(1))
    yield _row(bench, reference, reference_result, reference_result), reference_result
    for candidate in others:
        if result := _benchmark(bench, candidate):
            yield _row(bench, candidate, result, reference_result), result


def _benchmark(bench: Bench, candidate: Candidate) -> BenchmarkResult | None:
    """Return the benchmark of `candidate` on one core, or None after a warning that says why it cannot serve."""
    placement = bench.core(candidate.gpu)
    try:
        result = run_isolated(
            placement, BENCHMARK_TIMEOUT_S, run_benchmark, bench.model, candidate, len(placement.cpus)
        )
    except ProcessFailed as failure:
        warn(f"{candidate} is left out: it cannot run: {failure}")
        return None
    if result.fault:
        warn(f"{candidate} is left out: it answers wrongly: {result.fault}")
        return None
    return result


def _row(bench: Bench, candidate: Candidate, result: BenchmarkResult, reference: BenchmarkResult) -> Measurement:
    row = select.compare(candidate, result, reference.logits, bench.folder.output, quick=bench.model.effort.quick)
    say(f"   {candidate}: {row_text(row)}")
    return row


def _print_class_count(best: np.ndarray) -> None:
    """Print how many classes are among the answers `best`, which shows how much agreement means."""
    count = len(np.unique(best))
    say(f"   {len(best)} images, which the reference assigns to {count} {'class' if count == 1 else 'classes'}")
    if count == 1:
        warn("all images get the same answer, so agreement means little: set CALIBRATION=DIR to images of all classes")


def row_text(row: Measurement) -> str:
    """Return the row as a line of text."""
    verdict = "" if row.passed else " (too low)"
    return (
        f"{row.images_per_s:.1f} images/s, agreement {row.agreement:.1%}{verdict}, "
        f"largest difference of a score {row.difference:.4f}, batch sizes {', '.join(map(str, row.batch_sizes))}"
    )


def measure_decoding(bench: Bench, row: Measurement, pairs: Path) -> list[DecodingMeasurement]:
    """Compare scaled with exact decoding by the engine of `row` on the `pairs` that `save_pairs` saved."""
    candidate, placement = Candidate(row.engine, row.precision, row.machine), bench.core()
    try:
        found = run_isolated(
            placement, BENCHMARK_TIMEOUT_S, compare_decoding, bench.model, candidate, pairs, len(placement.cpus)
        )
    except ProcessFailed as failure:
        warn(f"decoding is left as it was: {failure}")
        return []
    for decoding in found:
        say(f"   {decoding.images} {decoding.size} images: {decoding_text(decoding)}")
    return found


def decoding_text(decoding: DecodingMeasurement) -> str:
    """Return what was measured as a line of text."""
    verdict = "" if decoding.passed else " (too low)"
    return f"agreement {decoding.agreement:.1%}{verdict}, largest difference of a score {decoding.difference:.4f}"


def measure_scaling(bench: Bench, row: Measurement, memory: int) -> Iterator[Scaling]:
    """Measure the engine of `row` with each number of cores per worker; a worker needs `memory` bytes."""
    for size in scaling.sizes(bench.hardware.cpus):
        placements = scaling.placements(bench.hardware.cpus, size)
        workers = f"{len(placements)} x {size} {'core' if size == 1 else 'cores'}"
        if len(placements) * memory > bench.hardware.memory_bytes * MEMORY_SHARE:
            warn(f"{workers} is left out: it does not fit into memory")
            continue
        try:
            result = scaling.measure(bench.model, Candidate(row.engine, row.precision, row.machine), placements, size)
        except ProcessFailed as failure:
            warn(f"{workers} is left out: {failure}")
            continue
        say(f"   {workers}: {result.images_per_s:.1f} images/s, {result.latency_ms:.2f} ms per image")
        yield result
