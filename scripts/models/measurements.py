"""Print what `make model-prepare` measured of one model, as tables."""

from collections.abc import Sequence

from scripts.base.console import aligned, say
from worker.contract.decoding import DecodingMeasurement
from worker.contract.engine import EngineSpec, Measurement, Scaling

MEASURED_COLUMNS = ("machine", "engine", "precision", "images/s", "batch sizes", "agreement", "largest difference", "")
SCALING_COLUMNS = ("machine", "cores per worker", "images/s of all workers", "ms per image")
DECODING_COLUMNS = ("scaled against exact decoding", "images", "agreement", "largest difference", "")
FAILED = "answers differ too often"


def show(engine: EngineSpec | None, decode: str) -> None:
    """Print for each machine kind the measurements on one core, then those with each number of cores per worker.

    Then print those of decoding, and how images are decoded; `decode` is what [input] says of it, or "".
    """
    if engine is None or not engine.measured:
        say("\nnot measured: run `make model-prepare NAME=...`")
        return
    say("")
    say(aligned([MEASURED_COLUMNS, *map(_measured, engine.measured)]))
    if engine.scaling:
        say("")
        say(aligned([SCALING_COLUMNS, *map(_scaling, engine.scaling)]))
    if engine.decoding:
        say("")
        say(aligned([DECODING_COLUMNS, *map(_decoding, engine.decoding)]))
    if decode or engine.decode:
        say(f"\ndecode: {decode or engine.decode}, {'as [input] of model.toml says' if decode else 'as measured'}")


def _measured(row: Measurement) -> Sequence[str]:
    sizes, agreement = ", ".join(map(str, row.batch_sizes)), f"{row.agreement:.1%}"
    verdict = "chosen" if row.chosen else "" if row.passed else FAILED
    verdict = ", ".join(filter(None, (verdict, "measured quickly" if row.quick else "")))
    rate = f"{row.images_per_s:.1f}"
    return row.machine, row.engine, row.precision, rate, sizes, agreement, f"{row.difference:.4f}", verdict


def _scaling(row: Scaling) -> Sequence[str]:
    return row.machine, str(row.cores), f"{row.images_per_s:.1f}", f"{row.latency_ms:.2f}"


def _decoding(row: DecodingMeasurement) -> Sequence[str]:
    verdict = "" if row.passed else FAILED
    return f"{row.size} images", str(row.images), f"{row.agreement:.1%}", f"{row.difference:.4f}", verdict
