"""Naming another model folder in the cluster's file, and leaving every other byte of it as it is."""

import contextlib
import json
import os
import re
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path

from scripts.base.errors import Refusal

MODELS_HEADER = re.compile(r"[ \t]*\[\[[ \t]*models[ \t]*\]\][ \t]*(#.*)?\r?")
ANY_HEADER = re.compile(r"[ \t]*\[")
STRING = r""""(?:[^"\\]|\\.)*"|'[^']*'"""


def with_model(text: str, source: str, index: int, values: Mapping[str, str]) -> str:
    """`text` with the keys `values` set in the [[models]] table `index`; pure.

    Only the values of keys that stand on lines of their own are replaced. The result is read again and compared with
    what was meant; raises Refusal where it says anything else, as for tables or keys written in another way.
    """
    meant = tomllib.loads(text)
    meant["models"][index] |= values
    edited = _replaced(text, index, values)
    try:
        if edited is not None and tomllib.loads(edited) == meant:
            return edited
    except tomllib.TOMLDecodeError:
        pass
    wanted = ", ".join(f"{key} = {_quoted(value)}" for key, value in values.items())
    raise Refusal(
        f"{source}: models/{index}: cannot be edited safely, needed a [[models]] table with {' and '.join(values)} on "
        f"lines of their own: write {wanted} there yourself, then `make up`"
    )


def require_replaceable(path: Path) -> None:
    """Raise Refusal when `replace_text` could not write."""
    folder = path.resolve().parent
    if not os.access(folder, os.W_OK, effective_ids=True):
        raise Refusal(f"{path}: cannot be changed: needed a folder {folder} that can be written")


def replace_text(path: Path, before: str, after: str) -> None:
    """Write `after` into the file at `path`, at once or not at all; raises Refusal, also where it is not `before`."""
    file = path.resolve()  # a link stays a link
    draft = file.with_name(f".{file.name}.new")
    try:
        if file.read_bytes() != before.encode():
            raise Refusal(f"{path}: was changed meanwhile: it stays as it is now")
        draft.write_bytes(after.encode())
        shutil.copymode(file, draft)
        if os.geteuid() == 0:
            os.chown(draft, file.stat().st_uid, file.stat().st_gid)
        draft.replace(file)
    except OSError as error:
        raise Refusal(f"{error.filename}: {error.strerror}: needed a file that can be replaced") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def _replaced(text: str, index: int, values: Mapping[str, str]) -> str | None:
    """The text with the values in the table's lines, or None when one is not found exactly once."""
    lines = text.split("\n")
    starts = [number for number, line in enumerate(lines) if MODELS_HEADER.fullmatch(line)]
    if index >= len(starts):
        return None
    start = starts[index] + 1
    end = next((number for number in range(start, len(lines)) if ANY_HEADER.match(lines[number])), len(lines))
    for key, value in values.items():
        pattern = re.compile(rf"([ \t]*{key}[ \t]*=[ \t]*)(?:{STRING})")
        found = [number for number in range(start, end) if pattern.match(lines[number])]
        if len(found) != 1:
            return None
        lines[found[0]] = pattern.sub(lambda match, value=value: match[1] + _quoted(value), lines[found[0]], count=1)  # type: ignore[misc]
    return "\n".join(lines)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
