"""The models of the Teach view: which there are, which are served, and what their reports say."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.base.errors import CommandError
from scripts.cluster.config import load_cluster
from scripts.models import model_store
from scripts.models.model_store import StoredModel
from scripts.models.tools.teach import PAGE, REPORT
from scripts.teach_page.errors import Code, Refused


def read(cluster: Path, models: Path) -> tuple[list[StoredModel], list[str]]:
    """Return the model folders, and the names of the served models, the default first; raise Refused."""
    try:
        found = load_cluster(cluster)
        return model_store.entries(models, found), [model.name for model in found.models]
    except CommandError as error:
        raise Refused(Code.FAILED, str(error)) from None


def described(
    entries: Sequence[StoredModel], served: Sequence[str], previous: tuple[str, str] | None
) -> dict[str, Any]:
    """Return what the view shows of the models; `previous` are one that was served, and the one in its place."""
    models = [
        {"name": entry.name, "taught": (entry.folder / PAGE).is_file(), "served": bool(entry.served)}
        for entry in sorted(entries, key=lambda entry: entry.folder != model_store.EMBEDDED)  # the usual base first
    ]
    old, new = previous or ("", "")
    can_return = new in served and old not in served and old in {entry.name for entry in entries}
    return {"models": models, "served": served, "previous": {"old": old, "new": new} if can_return else None}


def report(entries: Sequence[StoredModel], name: str) -> bytes:
    """Return the report of the taught model `name`; raise Refused if there is none."""
    for entry in entries:
        if entry.name == name and (entry.folder / PAGE).is_file():
            return (entry.folder / PAGE).read_bytes()
    raise Refused(Code.UNKNOWN, f"found no report on {name!r}, needed a model that was taught")


def summary(folder: Path) -> dict[str, Any]:
    """Return the figures of the model folder's report that the view shows."""
    found = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    judged = found["held_out"] or found["cross_validated"]
    return {
        "accuracy": judged["accuracy"],
        "interval": judged["interval"],
        "held_out": found["held_out"] is not None,
        "images": judged["images"]["evaluated"],
        "classes": len(judged["classes"]),
        "doubtful": len(found["probably_mislabelled"]),
    }
