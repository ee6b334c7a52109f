"""`make models`: print a line for each model folder, and the measurements of one."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.base.console import aligned, megabytes, say, warn
from scripts.cluster.config import Cluster
from scripts.models import measurements
from scripts.models.model_store import StoredModel, entries, select
from scripts.models.summary import ModelSummary, machine_kind_here, read_summary
from scripts.models.verified import is_verified
from worker.contract.litter import own_files

COLUMNS = (
    "name", "version", "size", "licence", "loader", "engine", "precision", "images/s", "input", "labels", "served",
    "verified",
)  # fmt: skip


def show(models: Path, cluster: Cluster, name: str) -> None:
    """Print one line for each model called `name` ("": every model); with a name, also print its measurements."""
    machine, faults = machine_kind_here(), []
    rows: list[Sequence[str]] = [COLUMNS]
    summaries = [(entry, read_summary(entry.folder)) for entry in select(entries(models, cluster), name)]
    for entry, summary in summaries:
        rows.append(list(_row(models, entry, summary, machine)))
        faults += [f"{entry.name}: {summary.fault}"] if summary.fault else []
    say(aligned(rows))
    for entry, summary in summaries:
        for text in summary.description.values():
            say(f"{entry.name}: {text}")
    for _, summary in summaries if name else ():
        measurements.show(summary.engine, summary.decode)
    for fault in faults:
        warn(fault)


def _row(models: Path, entry: StoredModel, summary: ModelSummary, machine: str) -> Iterator[str]:
    choice, rate = summary.choice(machine), summary.images_per_s(machine)
    count = next(iter(summary.labels.values()), 0)
    served = "no" if not entry.served else "yes" if entry.served == (entry.name,) else f"as {', '.join(entry.served)}"
    yield entry.name
    yield summary.version
    yield megabytes(sum(path.stat().st_size for path in own_files(entry.folder)))
    yield summary.licence
    yield summary.loader
    yield from (choice.engine, choice.precision) if choice else ("", "")
    yield f"{rate:.1f}" if rate else "not measured" if choice else ""
    yield " x ".join(map(str, summary.input)) if summary.input else ""
    yield f"{count} {'+'.join(summary.labels)}" if summary.labels else ""
    yield served
    yield "yes" if is_verified(models, entry.folder) else "no"
