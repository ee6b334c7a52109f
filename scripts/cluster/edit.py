"""Replace a model in cluster.toml and leave every other line as it is."""

import contextlib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from scripts._vendor import tomlkit
from scripts.base.errors import CommandError
from worker.contract.files import write_atomically


def with_model(text: str, source: str, index: int, values: Mapping[str, str]) -> str:
    """Return `text` with `values` set by key in table `index` of `models`.

    Raise CommandError if other lines would change, too, as when other tables stand between the [[models]] tables.
    """
    expected = tomllib.loads(text)
    expected["models"][index] |= values
    edited = ""
    with contextlib.suppress(tomlkit.exceptions.TOMLKitError):  # tomlkit rejects some TOML that tomllib reads
        document = tomlkit.parse(text)
        document["models"][index].update(values)
        edited = tomlkit.dumps(document)
    if tomllib.loads(edited) == expected and _changed_lines(text, edited) <= len(values):
        return edited
    assignments = ", ".join(f"{key} = {tomlkit.item(value).as_string()}" for key, value in values.items())
    raise CommandError(
        f"{source}: models/{index}: cannot be edited without moving other lines, needed [[models]] tables one after "
        f"another: write {assignments} there by hand, then run `make up`"
    )


def _changed_lines(before: str, after: str) -> float:
    """Return how many lines differ, or infinity if the numbers of lines differ."""
    old, new = before.split("\n"), after.split("\n")
    return sum(map(str.__ne__, old, new)) if len(old) == len(new) else float("inf")


def require_replaceable(path: Path) -> None:
    """Raise CommandError if `replace_text` could not write to the folder of `path`."""
    folder = path.resolve().parent
    if not os.access(folder, os.W_OK, effective_ids=True):
        raise CommandError(f"{path}: cannot be changed: needed a folder {folder} that can be written")


def replace_text(path: Path, before: str, after: str) -> None:
    """Replace the text `before` of the file at `path` by `after`, atomically.

    Raise CommandError if the file holds another text than `before`, or if it cannot be replaced.
    """
    file = path.resolve()  # keep a symbolic link, and replace the file it points to
    try:
        if file.read_bytes() != before.encode():
            raise CommandError(f"{path}: was changed in the meantime: it was left as it is")
        write_atomically(file, after, keep_access=True)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}: needed a file that can be replaced") from error
