"""Merge new measurements of this machine into [engine], next to those of other machine kinds. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from scripts.models.tools.prepare.select import choose_fastest
from worker.contract.decoding import EXACT, SCALED, DecodingMeasurement
from worker.contract.engine import EngineSpec, Measurement, Scaling
from worker.contract.engines import SAFE


def merge_measurements(
    before: EngineSpec, loader: str, prepared: Mapping[str, str], remade: Collection[str], new: Sequence[Measurement]
) -> EngineSpec:
    """Return `before` with the rows `new` in place of the previous rows of the same machine kinds.

    Rows of other machine kinds are dropped if their network is in `remade`, the names of the `prepared` networks that
    were made again. Networks without a row are dropped, as are the rows of machine kinds where no candidate passed.
    """
    machines = {row.machine for row in new}
    spec = replace(before, prepared=prepared)
    remade_files = {prepared[name] for name in remade}
    others = [row for row in before.measured if row.machine not in machines]
    valid = [row for row in others if _file(spec, loader, row) not in {None, *remade_files}]
    rows = choose_fastest([*valid, *new])
    used = {_file(spec, loader, row) for row in rows}
    measured_machines = {row.machine for row in rows}
    exact = SAFE.name, SAFE.cpu[0]
    safe = any((row.engine, row.precision) == exact and row.passed for row in new)
    name, precision = exact if safe else (before.name, before.precision)
    return replace(
        before, name=name, precision=precision, measured=tuple(rows),
        prepared={name: file for name, file in prepared.items() if file in used},
        scaling=tuple(row for row in before.scaling if row.machine in measured_machines - machines),
    )  # fmt: skip


def with_scaling(spec: EngineSpec, rows: Sequence[Scaling]) -> EngineSpec:
    return replace(spec, scaling=(*spec.scaling, *rows))


def with_decoding(spec: EngineSpec, rows: Sequence[DecodingMeasurement]) -> EngineSpec:
    """Return `spec` with `rows`, and with exact decoding if one of them did not pass."""
    return replace(spec, decoding=tuple(rows), decode=SCALED if all(row.passed for row in rows) else EXACT)


def _file(spec: EngineSpec, loader: str, row: Measurement) -> str | None:
    """Return the file that the row's engine runs: "" for the folder's own weights, None if there is none."""
    return spec.network(loader, row.engine, row.precision)
