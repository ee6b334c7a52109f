"""Naming another model folder in the cluster's file, and leaving every other line of it as it is."""

import contextlib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from scripts._vendor import tomlkit
from scripts.base.errors import CommandError
from worker.contract.files import write_atomically


def with_model(text: str, source: str, index: int, values: Mapping[str, str]) -> str:
    """Return `text` with the keys `values` set in table `index` of `models`; pure.

    Raise CommandError where another line would change, too, as where other tables stand between those of the models.
    """
    meant = tomllib.loads(text)
    meant["models"][index] |= values
    edited = ""
    with contextlib.suppress(tomlkit.exceptions.TOMLKitError):  # it refuses some of what tomllib reads
        document = tomlkit.parse(text)
        document["models"][index].update(values)
        edited = tomlkit.dumps(document)
    if tomllib.loads(edited) == meant and _changed_lines(text, edited) <= len(values):
        return edited
    wanted = ", ".join(f"{key} = {tomlkit.item(value).as_string()}" for key, value in values.items())
    raise CommandError(
        f"{source}: models/{index}: cannot be edited without moving other lines, needed [[models]] tables one after "
        f"another: write {wanted} there yourself, then `make up`"
    )


def _changed_lines(before: str, after: str) -> float:
    """Return how many lines differ, infinitely many where their numbers do."""
    old, new = before.split("\n"), after.split("\n")
    return sum(map(str.__ne__, old, new)) if len(old) == len(new) else float("inf")


def require_replaceable(path: Path) -> None:
    """Raise CommandError when `replace_text` could not write."""
    folder = path.resolve().parent
    if not os.access(folder, os.W_OK, effective_ids=True):
        raise CommandError(f"{path}: cannot be changed: needed a folder {folder} that can be written")


def replace_text(path: Path, before: str, after: str) -> None:
    """Write `after` into the file at `path`, at once or not at all.

    Raise CommandError, also where it is not `before`.
    """
    file = path.resolve()  # a link stays a link
    try:
        if file.read_bytes() != before.encode():
            raise CommandError(f"{path}: was changed meanwhile: it stays as it is now")
        write_atomically(file, after, keep_access=True)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}: needed a file that can be replaced") from error
