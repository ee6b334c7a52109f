"""The models of a bundle: folders as they were verified, and the sentinel that tells their volume from another."""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.bundle.layout import MODELS
from scripts.models.model_store import StoredModel, content_hash, files
from worker.contract.files import write_atomically
from worker.contract.volume import SENTINEL

UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, and bytes that are not UTF-8


def choose(found: Sequence[StoredModel], names: Sequence[str]) -> list[StoredModel]:
    """Return the entries called `names`, or those that are served.

    Raise CommandError for folders no volume can have.
    """
    known = {name: entry for entry in reversed(found) for name in (*entry.served, entry.name)}
    if unknown := [name for name in names if name not in known]:
        raise CommandError(f"MODELS: found {', '.join(unknown)}, needed some of {', '.join(sorted(known))}")
    picked = {entry.folder.resolve(): entry for entry in map(known.__getitem__, names)}
    chosen = list(picked.values()) or [entry for entry in found if entry.served]
    folders = [entry.folder.name for entry in chosen]
    if unfit := [name for name in folders if UNFIT.search(name)]:
        raise CommandError(f"MODELS: found a folder called {unfit[0]!r}, needed a name of printable UTF-8: rename it")
    if twice := {name for name in folders if folders.count(name) > 1}:
        raise CommandError(f"MODELS: found two folders called {', '.join(sorted(twice))}, needed one: rename the other")
    return chosen


def size(entries: Sequence[StoredModel]) -> int:
    return sum(path.stat().st_size for entry in entries for path in files(entry.folder))


def copy(entries: Sequence[StoredModel], bundle: Path, work: Path) -> dict[str, str]:
    """Have exactly these model folders in the bundle, with the sentinel; their content hashes by folder."""
    models = bundle / MODELS
    models.mkdir(exist_ok=True)
    hashes = {}
    for entry in entries:
        name = entry.folder.name
        hashes[name] = content_hash(entry.folder)
        if (models / name).is_dir() and content_hash(models / name) == hashes[name]:
            say(f"   model {name} is there")
            continue
        step(f"copying model {name}")
        _copy(entry.folder, models / name, work / name)
        if content_hash(models / name) != hashes[name]:
            raise CommandError(f"{entry.folder}: changed while it was copied: run `make bundle` again")
    for path in models.iterdir():
        if path.is_dir() and path.name not in hashes:
            shutil.rmtree(path)
    write_atomically(models / SENTINEL, sentinel(hashes))
    return hashes


def sentinel(hashes: Mapping[str, str]) -> str:
    """The volume's id follows from what is on it: volumes alike are one, and may stand in for one another."""
    listed = json.dumps(hashes, sort_keys=True)
    volume = hashlib.sha256(listed.encode()).hexdigest()[:16]
    return json.dumps({"volume": volume, "models": dict(sorted(hashes.items()))}, indent=1) + "\n"


def _copy(source: Path, target: Path, draft: Path) -> None:
    shutil.rmtree(draft, ignore_errors=True)
    # Contents, not owners, modes or dates: a worker reads them under an account of its own.
    shutil.copytree(source, draft, copy_function=shutil.copyfile)
    for path in (draft, *draft.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.rmtree(target, ignore_errors=True)
    draft.replace(target)
