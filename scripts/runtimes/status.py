"""`make status` on one machine: the gateway's status of every worker, as a table."""

from collections.abc import Sequence
from typing import Any

from scripts.base.console import aligned, say
from scripts.base.errors import CommandError
from scripts.base.http import get

COLUMNS = ("server", "slot", "worker", "state", "in", "model", "version", "engine", "precision", "in_flight", "queued")


def print_status(endpoint: str, faults: Sequence[str] = ()) -> None:
    """Print the table; raise CommandError if there are `faults`, no gateway answers, or a worker is out of rotation."""
    code, status = get(f"{endpoint}/status")
    if code != 200 or "workers" not in status:
        raise CommandError(f"no gateway answers at {endpoint}: run `make up`", *faults)
    say(table(status["workers"]))
    if out := [worker["worker"] for worker in status["workers"] if not worker["in"]]:
        faults = [*faults, f"out of rotation: {', '.join(out)}; see `make logs`"]
    if faults:
        raise CommandError(*faults)


def table(workers: Sequence[dict[str, Any]]) -> str:
    """Return the table as aligned columns, one line per worker."""
    return aligned([COLUMNS, *([cell(worker.get(column)) for column in COLUMNS] for worker in workers)])


def cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)
