"""Record which model folders are verified.

A folder counts as verified while its content hash equals the one that `make model-verify` last recorded. The records
are outside the folders, since a folder may be read-only and model.toml lists every file in it.
"""

import json
from pathlib import Path
from typing import Any

from scripts.base.console import warn
from scripts.cluster.models import content_hash
from worker.contract.files import write_atomically

RECORDS_FILE = ".verified.json"


def is_verified(models: Path, folder: Path) -> bool:
    """Return whether the folder is unchanged since it was last verified."""
    recorded = _records(models).get(str(folder.resolve()))
    return recorded is not None and recorded == content_hash(folder)


def record(models: Path, folder: Path, good: bool) -> None:
    """Record the folder's present content as verified if `good`, else remove its record."""
    records = _records(models)
    records.pop(str(folder.resolve()), None)
    if good:
        records[str(folder.resolve())] = content_hash(folder)
    try:
        models.mkdir(parents=True, exist_ok=True)
        write_atomically(models / RECORDS_FILE, json.dumps(records, indent=1) + "\n")
    except OSError as error:
        warn(f"{error.filename}: {error.strerror}: the result cannot be recorded for `make models`")


def _records(models: Path) -> dict[str, Any]:
    try:
        records = json.loads((models / RECORDS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return records if isinstance(records, dict) else {}
