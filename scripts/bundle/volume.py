"""The models of a bundle: copies of verified model folders, and the sentinel file that identifies their volume."""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.bundle.layout import MODELS
from scripts.cluster.models import content_hash
from scripts.models.model_store import StoredModel
from worker.contract.files import write_atomically
from worker.contract.litter import litter_in, own_files
from worker.contract.volume import SENTINEL

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # control characters, and bytes that are not UTF-8


def select_models(stored: Sequence[StoredModel], names: Sequence[str]) -> list[StoredModel]:
    """Return the models called `names`, or the served ones if there are no names.

    Raise CommandError for an unknown name, and for folder names that cannot share a volume or be listed on it.
    """
    by_name = {name: model for model in reversed(stored) for name in (*model.served, model.name)}
    if unknown := [name for name in names if name not in by_name]:
        raise CommandError(f"MODELS: found {', '.join(unknown)}, needed some of {', '.join(sorted(by_name))}")
    by_folder = {model.folder.resolve(): model for model in map(by_name.__getitem__, names)}
    selected = list(by_folder.values()) or [model for model in stored if model.served]
    folders = [model.folder.name for model in selected]
    if unprintable := [name for name in folders if UNPRINTABLE.search(name)]:
        raise CommandError(
            f"MODELS: found a folder called {unprintable[0]!r}, needed a name of printable UTF-8: rename it"
        )
    if repeated := {name for name in folders if folders.count(name) > 1}:
        raise CommandError(
            f"MODELS: found two folders called {', '.join(sorted(repeated))}, needed different names: rename one"
        )
    return selected


def size(models: Sequence[StoredModel]) -> int:
    """Return the size of the models' files in bytes."""
    return sum(path.stat().st_size for model in models for path in own_files(model.folder))


def copy(models: Sequence[StoredModel], bundle: Path, work: Path) -> dict[str, str]:
    """Copy these model folders into the bundle, remove others, write the sentinel; return content hashes by folder."""
    volume = bundle / MODELS
    volume.mkdir(exist_ok=True)
    hashes = {}
    for model in models:
        name = model.folder.name
        hashes[name] = content_hash(model.folder)
        if (volume / name).is_dir() and content_hash(volume / name) == hashes[name]:
            say(f"   model {name} is already there")
            continue
        step(f"copying model {name}")
        _copy(model.folder, volume / name, work / name)
        if content_hash(volume / name) != hashes[name]:
            raise CommandError(f"{model.folder}: changed while it was copied: run `make bundle` again")
    for path in volume.iterdir():
        if path.is_dir() and path.name not in hashes:
            shutil.rmtree(path)
    write_atomically(volume / SENTINEL, sentinel(hashes))
    return hashes


def sentinel(hashes: Mapping[str, str]) -> str:
    """Return the sentinel's text. The volume's id is a hash of its contents, so that identical volumes share it."""
    text = json.dumps(hashes, sort_keys=True)
    volume = hashlib.sha256(text.encode()).hexdigest()[:16]
    return json.dumps({"volume": volume, "models": dict(sorted(hashes.items()))}, indent=1) + "\n"


def _copy(source: Path, target: Path, draft: Path) -> None:
    shutil.rmtree(draft, ignore_errors=True)
    # Contents only: a worker reads the files under another account, so owners and modes must not be copied.
    shutil.copytree(source, draft, copy_function=shutil.copyfile, ignore=litter_in)
    for path in (draft, *draft.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.rmtree(target, ignore_errors=True)
    draft.replace(target)
