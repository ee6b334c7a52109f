"""Benchmark every engine and precision that can run a folder's network on this machine, and print the progress."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scripts.base.console import say, warn
from scripts.cluster.hardware import Hardware
from scripts.cluster.plan import physical_cores
from scripts.models.tools.prepare import scaling, select
from scripts.models.tools.prepare.benchmark import BenchmarkResult, Candidate, Subject, run_benchmark
from scripts.models.tools.prepare.isolated import Failed, Place, run_isolated
from worker.contract.engine import EXACT, QUANTISED, EngineSpec, Measurement, Scaling
from worker.contract.engines import ENGINES
from worker.contract.fields import ModelError
from worker.contract.machine import machine_kind
from worker.models.folder import ModelFolder

TRIAL_S = 900.0  # of one benchmark, whose parts are limited: a longer one hangs
MEMORY = 0.8  # share of the machine's memory that all workers together may use


@dataclass(frozen=True)
class Bench:
    """The model to benchmark and the machine; `quantised` says whether the folder's own weights are int8 already."""

    folder: ModelFolder
    subject: Subject
    hardware: Hardware
    quantised: bool

    def core(self, gpu: str = "") -> Place:
        """Return the last core, since other processes tend to run on the first ones; `gpu` is a UUID, "" for none."""
        return Place(scaling.numbers(physical_cores(self.hardware.cpus)[-1:]), gpu)


def candidates(bench: Bench) -> Iterator[Candidate]:
    """Yield every candidate on this machine, those on CPUs first; one GPU of each kind stands for all of that kind."""
    cpus = machine_kind()
    for name, engine in ENGINES.items():
        yield from (Candidate(name, one, cpus) for one in engine.cpu if _has_network(bench, name, one))
    gpus = {machine_kind(gpu.uuid): gpu.uuid for gpu in reversed(bench.hardware.gpus)}
    for machine, uuid in gpus.items():
        for name, engine in ENGINES.items():
            yield from (Candidate(name, one, machine, uuid) for one in engine.gpu if _has_network(bench, name, one))


def _has_network(bench: Bench, engine: str, precision: str) -> bool:
    """Return whether `engine` has a network in `precision`."""
    spec = EngineSpec(engine, EXACT, (1,), prepared=bench.subject.prepared)
    network = spec.network(bench.folder.loader, engine, precision)
    if network == "":  # the folder's own weights, which are either int8 or not
        return bench.quantised == (precision == QUANTISED)
    return network is not None


def tried(bench: Bench) -> Iterator[tuple[Measurement, BenchmarkResult]]:
    """Yield the row and the benchmark of every candidate that runs and answers the golden images as recorded.

    The first is the reference for the others: torch in f32, or the folder's own network if torch cannot load it. Raise
    ModelError if the reference does not run.
    """
    reference, *others = candidates(bench)
    if not ENGINES[reference.engine].torch:
        say(f"   answers are held against {reference} itself: this folder has no network for torch")
    first = _trial(bench, reference)
    if first is None:
        raise ModelError(f"{bench.folder.path}: {reference} must run, for the others are held against it")
    _say_how_varied(first.logits[:, bench.folder.output.main].argmax(1))
    yield _row(bench, reference, first, first), first
    for candidate in others:
        if trial := _trial(bench, candidate):
            yield _row(bench, candidate, trial, first), trial


def _trial(bench: Bench, candidate: Candidate) -> BenchmarkResult | None:
    """Return the benchmark of `candidate` on one core, or None after a warning that says why it cannot serve."""
    place = bench.core(candidate.gpu)
    try:
        trial = run_isolated(place, TRIAL_S, run_benchmark, bench.subject, candidate, len(place.cpus))
    except Failed as failure:
        warn(f"{candidate} is left out, for it cannot run: {failure}")
        return None
    if trial.fault:
        warn(f"{candidate} is left out, for it answers wrongly: {trial.fault}")
        return None
    return trial


def _row(bench: Bench, candidate: Candidate, trial: BenchmarkResult, reference: BenchmarkResult) -> Measurement:
    row = select.measured(candidate, trial, reference.logits, bench.folder.output, quick=bench.subject.effort.quick)
    say(f"   {candidate}: {told(row)}")
    return row


def _say_how_varied(best: np.ndarray) -> None:
    """Print how many classes are among the answers `best`, which shows how much agreement means."""
    kinds = len(np.unique(best))
    say(f"   {len(best)} images, which the reference puts into {kinds} {'class' if kinds == 1 else 'classes'}")
    if kinds == 1:
        warn("all images get the same answer, so that agreeing means little: CALIBRATION=DIR takes telling ones")


def told(row: Measurement) -> str:
    """Return the row as a line of text."""
    verdict = "" if row.passed else ": too few"
    return (
        f"{row.images_per_s:.1f} images/s, {row.agreement:.1%} answered alike{verdict}, "
        f"largest difference of a score {row.difference:.4f}, batch sizes {', '.join(map(str, row.batch_sizes))}"
    )


def scaled(bench: Bench, row: Measurement, memory: int) -> Iterator[Scaling]:
    """Measure the engine of `row` with each number of cores per worker; a worker needs `memory` bytes."""
    for size in scaling.sizes(bench.hardware.cpus):
        at = scaling.places(bench.hardware.cpus, size)
        team = f"{len(at)} x {size} {'core' if size == 1 else 'cores'}"
        if len(at) * memory > bench.hardware.memory_bytes * MEMORY:
            warn(f"{team} is left out, for it does not fit into the memory")
            continue
        try:
            found = scaling.measure(bench.subject, Candidate(row.engine, row.precision, row.machine), at, size)
        except Failed as failure:
            warn(f"{team} is left out: {failure}")
            continue
        say(f"   {team}: {found.images_per_s:.1f} images/s, {found.latency_ms:.2f} ms an image")
        yield found
