"""What [engine] says after a preparation: this machine's rows beside those of other kinds. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from scripts.models.tools.prepare.select import with_choice
from worker.contract.engine import EngineSpec, Measured, Scaling
from worker.contract.engines import SAFE


def merge_measurements(
    before: EngineSpec, loader: str, prepared: Mapping[str, str], fresh: Collection[str], new: Sequence[Measured]
) -> EngineSpec:
    """`before` with the rows measured now in place of those that their machines had.

    Of other machines' rows those go whose network is among `fresh`, the names of those `prepared` ones that were made
    now: it is another one now. Networks that no row is of are not listed, and rows of machines where nothing passed.
    """
    machines = {row.machine for row in new}
    whole = replace(before, prepared=prepared)
    remade = {prepared[name] for name in fresh}
    others = [row for row in before.measured if row.machine not in machines]
    kept = [row for row in others if _file(whole, loader, row) not in {None, *remade}]
    rows = with_choice([*kept, *new])
    used = {_file(whole, loader, row) for row in rows}
    left = {row.machine for row in rows}
    exact = SAFE.name, SAFE.cpu[0]
    safe = any((row.engine, row.precision) == exact and row.passed for row in new)
    name, precision = exact if safe else (before.name, before.precision)
    return replace(
        before, name=name, precision=precision, measured=tuple(rows),
        prepared={name: file for name, file in prepared.items() if file in used},
        scaling=tuple(row for row in before.scaling if row.machine in left - machines),
    )  # fmt: skip


def with_scaling(spec: EngineSpec, rows: Sequence[Scaling]) -> EngineSpec:
    return replace(spec, scaling=(*spec.scaling, *rows))


def _file(spec: EngineSpec, loader: str, row: Measured) -> str | None:
    """The file that the row's engine runs, "" for the folder's own weights, None for none."""
    return spec.network(loader, row.engine, row.precision)
