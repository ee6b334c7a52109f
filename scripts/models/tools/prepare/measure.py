"""Every engine and precision that can run a folder's network, tried on this machine; progress is told as it goes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scripts.base.console import say, warn
from scripts.cluster.hardware import Hardware
from scripts.cluster.plan import physical_cores
from scripts.models.tools.prepare import scaling, select
from scripts.models.tools.prepare.benchmark import BenchmarkResult, Candidate, Subject, run_benchmark
from scripts.models.tools.prepare.isolated import Failed, Place, run_isolated
from worker.contract.engine import EXACT, QUANTISED, EngineSpec, Measured, Scaling
from worker.contract.engines import ENGINES
from worker.contract.fields import ModelError
from worker.contract.machine import kind
from worker.models.folder import ModelFolder

TRIAL_S = 900.0  # of one trial, whose parts are bounded: whatever takes longer hangs
MEMORY = 0.8  # of the machine's, that workers may hold together


@dataclass(frozen=True)
class Bench:
    """What is tried, and where; `quantised` says whether the folder's own weights are int8 already."""

    folder: ModelFolder
    subject: Subject
    hardware: Hardware
    quantised: bool

    def core(self, gpu: str = "") -> Place:
        """The last core: the first ones serve whatever else runs here."""
        return Place(scaling.numbers(physical_cores(self.hardware.cpus)[-1:]), gpu)


def candidates(bench: Bench) -> Iterator[Candidate]:
    """All that might run the network here, those of the CPUs first; one GPU of a kind stands for the others."""
    cpus = kind()
    for name, engine in ENGINES.items():
        yield from (Candidate(name, one, cpus) for one in engine.cpu if _has_network(bench, name, one))
    gpus = {kind(gpu.uuid): gpu.uuid for gpu in reversed(bench.hardware.gpus)}
    for machine, uuid in gpus.items():
        for name, engine in ENGINES.items():
            yield from (Candidate(name, one, machine, uuid) for one in engine.gpu if _has_network(bench, name, one))


def _has_network(bench: Bench, engine: str, precision: str) -> bool:
    """Whether there is something for the engine to run that is what `precision` says."""
    spec = EngineSpec(engine, EXACT, (1,), prepared=bench.subject.prepared)
    network = spec.network(bench.folder.loader, engine, precision)
    if network == "":  # the folder's own weights, in whatever precision they are
        return bench.quantised == (precision == QUANTISED)
    return network is not None


def tried(bench: Bench) -> Iterator[tuple[Measured, BenchmarkResult]]:
    """The row of every candidate that runs and answers the golden images, and its trial.

    The first is what all are held against: torch in f32, or a network that is prepared already as it is. Raises
    ModelError when that one does not run.
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
    """What `candidate` does on one core, or None after telling why it cannot serve."""
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


def _row(bench: Bench, candidate: Candidate, trial: BenchmarkResult, reference: BenchmarkResult) -> Measured:
    row = select.measured(candidate, trial, reference.logits, bench.folder.output, quick=bench.subject.effort.quick)
    say(f"   {candidate}: {told(row)}")
    return row


def _say_how_varied(best: np.ndarray) -> None:
    """Tell how much agreeing with the answers `best` can mean."""
    kinds = len(np.unique(best))
    say(f"   {len(best)} images, which the reference puts into {kinds} {'class' if kinds == 1 else 'classes'}")
    if kinds == 1:
        warn("all images get the same answer, so that agreeing means little: CALIBRATION=DIR takes telling ones")


def told(row: Measured) -> str:
    """What was measured, in words."""
    verdict = "" if row.passed else ": too few"
    return (
        f"{row.images_per_s:.1f} images/s, {row.agreement:.1%} answered alike{verdict}, "
        f"largest difference of a score {row.difference:.4f}, batch sizes {', '.join(map(str, row.batch_sizes))}"
    )


def scaled(bench: Bench, row: Measured, memory: int) -> Iterator[Scaling]:
    """What cores per worker bring with the engine of `row`, a worker of which holds `memory` bytes."""
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
