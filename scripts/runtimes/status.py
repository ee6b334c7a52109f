"""`make status` on one machine: the gateway's status of every worker, as a table."""

from collections.abc import Sequence
from typing import Any

from scripts.base.console import aligned, say
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.cluster.keys import OWN_VARIABLE

COLUMNS = ("server", "slot", "worker", "state", "in", "model", "version", "engine", "precision", "in_flight", "queued")


def print_status(endpoint: str, faults: Sequence[str] = (), key: str = "") -> None:
    """Print the table, for which the gateway is asked with `key`.

    Raise CommandError if there are `faults`, no gateway answers, or a worker is out of rotation.
    """
    code, status = get(f"{endpoint}/status", key=key)
    if code in (401, 403):
        raise CommandError(needs_key(code), *faults)
    if code == 503:
        raise CommandError(f"{endpoint}: {status.get('error', {}).get('message', 'found no status')}", *faults)
    if code != 200 or "workers" not in status:
        raise CommandError(f"no gateway answers at {endpoint}: run `make up`", *faults)
    say(table(status["workers"]))
    if out := [worker["worker"] for worker in status["workers"] if not worker["in"]]:
        faults = [*faults, f"out of rotation: {', '.join(out)}; see `make logs`"]
    if faults:
        raise CommandError(*faults)


def needs_key(code: int) -> str:
    """Return the error of a command whose key the gateway refuses with the status `code`."""
    return (
        f"the gateway answers {code}: needed the key of an admin: run this as the account that ran `make up`, "
        f"or set {OWN_VARIABLE}"
    )


def table(workers: Sequence[dict[str, Any]]) -> str:
    """Return the table as aligned columns, one line per worker."""
    return aligned([COLUMNS, *([cell(worker.get(column)) for column in COLUMNS] for worker in workers)])


def cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)
