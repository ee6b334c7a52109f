"""`[engine]` of model.toml: the prepared networks, the measurements, and the choice of an engine for a machine.

Standard library only: scripts on a bare server make the same choice with the same code.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from worker.contract.declarations import INT8
from worker.contract.decoding import DecodingMeasurement, read_decode, read_measurement
from worker.contract.engines import ENGINES, readers, reads
from worker.contract.settings import AUTO
from worker.contract.toml_reader import TomlReader

EXACT, QUANTISED = "f32", INT8
AGREEMENT, QUANTISED_AGREEMENT = 0.99, 0.98  # least share of images answered as torch in f32 answers them


@dataclass(frozen=True)
class Choice:
    """The engine, precision and batch sizes for one machine, and the reason in words."""

    engine: str
    precision: str
    batch_sizes: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class Measurement:
    """The measurements of one engine in one precision on one machine kind (worker.contract.machine.machine_kind).

    `images_per_s` is the speed of one core, or of the GPU; `agreement` is the share of comparison images answered as
    the reference, torch in f32, answers them; `difference` is the largest difference of a score from the reference's;
    `batch_sizes` are those that are faster per image than smaller ones; `quick` means fewer images and shorter timing.
    """

    machine: str
    engine: str
    precision: str
    batch_sizes: tuple[int, ...]
    images_per_s: float
    agreement: float
    difference: float
    chosen: bool
    quick: bool = False

    @property
    def passed(self) -> bool:
        return self.agreement >= (QUANTISED_AGREEMENT if self.precision == QUANTISED else AGREEMENT)


@dataclass(frozen=True)
class Scaling:
    """A whole machine with every worker busy on `cores` cores each: total images/s and median latency in ms."""

    machine: str
    cores: int
    images_per_s: float
    latency_ms: float


@dataclass(frozen=True)
class EngineSpec:
    """The table [engine]: the choice for machines without measurements, and all measurements.

    `prepared` are the paths of the prepared networks inside the folder, by name (prepared_names). `wait_ms` is how long
    an image waits on a GPU for others to share its batch. `decode` is how images are decoded unless [input] says, by
    what was measured in `decoding`; "" if nothing was.
    """

    name: str
    precision: str
    batch_sizes: tuple[int, ...]
    wait_ms: float = 0.0
    prepared: Mapping[str, str] = field(default_factory=dict)
    measured: tuple[Measurement, ...] = ()
    scaling: tuple[Scaling, ...] = ()
    decode: str = ""
    decoding: tuple[DecodingMeasurement, ...] = ()

    def network(self, loader: str, engine: str, precision: str) -> str | None:
        """Return the prepared file that `engine` runs: "" for the folder's own weights, None if it can run neither."""
        file = self.prepared.get(ENGINES[engine].prepared_name(precision) or "")
        return file or ("" if reads(engine, loader) else None)

    def choose(self, machine: str, requested: str = AUTO) -> Choice:
        """Return the choice for this kind of machine: its chosen row, or the fastest passing row of engine `requested`.

        Without such a row it is the safe choice, or `requested` in f32.
        """
        rows = [row for row in self.measured if row.machine == machine and row.passed and row.engine == requested]
        if requested == AUTO:
            rows = [row for row in self.measured if row.machine == machine and row.chosen]
        if rows:
            best = max(rows, key=lambda row: row.images_per_s)
            reason = f"the fastest that was measured on this kind of machine, {machine}"
            return Choice(best.engine, best.precision, best.batch_sizes, _with_request(reason, requested))
        reason = f"nothing was measured on this kind of machine, {machine}"
        if requested in (AUTO, self.name):
            return Choice(
                self.name, self.precision, self.batch_sizes, _with_request(f"the safe choice: {reason}", requested)
            )
        return Choice(requested, EXACT, self.batch_sizes, _with_request(f"in f32: {reason}", requested))


def read_engine(reader: TomlReader, loader: str, files: Collection[str]) -> EngineSpec:
    """Return the table [engine] of a folder with `loader` and the listed `files`; add faults to `reader`."""
    engine, precision = _engine(reader, "name")
    wait_ms = reader.number("wait_ms", float, 0.0)
    if wait_ms < 0:
        reader.fault("wait_ms", f"must be 0 or more milliseconds, found {wait_ms}")
    prepared = _prepared(reader.table("prepared"), files) if reader.has("prepared") else {}
    rows = reader.tables("measured") if reader.has("measured") else []
    measured = tuple(map(_measured, rows))
    scaling = tuple(map(_scaling, reader.tables("scaling"))) if reader.has("scaling") else ()
    decode = read_decode(reader)
    decoding = tuple(map(read_measurement, reader.tables("decoding"))) if reader.has("decoding") else ()
    spec = EngineSpec(engine, precision, _batch_sizes(reader), wait_ms, prepared, measured, scaling, decode, decoding)
    for row_reader, row in zip(rows, measured, strict=True):
        if spec.network(loader, row.engine, row.precision) is None:
            row_reader.fault("engine", no_network(loader, row.engine, row.precision))
    chosen = Counter(row.machine for row in measured if row.chosen)
    for machine in dict.fromkeys(row.machine for row in measured):
        if chosen[machine] != 1:
            reader.fault("measured", f'needs one chosen row of machine "{machine}", found {chosen[machine]}')
    return spec


def no_network(loader: str, engine: str, precision: str) -> str:
    """Return why `engine` has no network to run and what it needs, as the end of a sentence."""
    if ENGINES[engine].torch:
        return f'{engine} cannot run loader "{loader}": needs one of the loaders that build a network'
    prepared, readable = ENGINES[engine].prepared_name(precision), " or ".join(readers(engine))
    if prepared is None:
        return f'{engine} cannot run loader "{loader}": needs loader {readable}'
    return (
        f"{engine} in {precision} needs {prepared} under [engine.prepared], or loader {readable}, "
        f'found loader "{loader}": prepare the model again'
    )


def prepared_names() -> tuple[str, ...]:
    """Return every key that [engine.prepared] may have."""
    names = (engine.prepared_name(precision) for engine in ENGINES.values() for precision in engine.precisions)
    return tuple(dict.fromkeys(name for name in names if name))


def _with_request(reason: str, requested: str) -> str:
    return reason if requested == AUTO else f"engine {requested} was requested; {reason}"


def _engine(reader: TomlReader, key: str) -> tuple[str, str]:
    name = reader.choice(key, ENGINES)
    precision = reader.choice("precision", dict.fromkeys(one for known in ENGINES.values() for one in known.precisions))
    if precision not in ENGINES[name].precisions:
        reader.fault("precision", f"engine {name} runs {', '.join(ENGINES[name].precisions)}, found {precision!r}")
    return name, precision


def _batch_sizes(reader: TomlReader) -> tuple[int, ...]:
    sizes = reader.numbers("batch_sizes", int, None)
    if 1 not in sizes or min(sizes) < 1:
        reader.fault("batch_sizes", f"must contain 1 and no smaller number, found {list(sizes)}")
    return sizes


def _prepared(reader: TomlReader, files: Collection[str]) -> dict[str, str]:
    networks = {name: reader.text(name) for name in prepared_names() if reader.has(name)}
    for name, file in networks.items():
        if file not in files:
            reader.fault(name, f"{file!r} is not listed under [files]; list it with its sha256")
    return networks


def _measured(reader: TomlReader) -> Measurement:
    machine = reader.text("machine")
    engine, precision = _engine(reader, "engine")
    speed, agreement, difference = (
        reader.number(key, float) for key in ("images_per_s", "agreement", "difference")
    )  # fmt: skip
    return Measurement(
        machine, engine, precision, _batch_sizes(reader), speed, agreement, difference, reader.flag("chosen"),
        reader.flag("quick"),
    )  # fmt: skip


def _scaling(reader: TomlReader) -> Scaling:
    return Scaling(
        reader.text("machine"), reader.number("cores", int), reader.number("images_per_s", float),
        reader.number("latency_ms", float),
    )  # fmt: skip
