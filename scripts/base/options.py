"""Options as dataclasses: one declaration gives a command's flag, its type and help text, and its place in JSON.

A field is a flag when its annotation carries a `Flag`: `lines: Annotated[int, Flag("lines of each log")] = 20` becomes
`--lines`. A bool is a switch; one that is True by default is switched off by `--no-NAME`. A `tuple[str, ...]` takes all
positional arguments. Fields without a `Flag` are filled by code.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from scripts.base.errors import CommandError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


@dataclass(frozen=True)
class Flag:
    """What the command line says of an option."""

    help: str
    metavar: str | None = None
    choices: tuple[str, ...] | None = None


def add_flags(parser: argparse.ArgumentParser, kind: "type[DataclassInstance]") -> None:
    """Add a flag to `parser` for every option of the dataclass `kind`."""
    for name, annotation, flag, default in _flags(kind):
        spelled = name.replace("_", "-")
        if annotation is bool:
            word, action = (f"--no-{spelled}", "store_false") if default else (f"--{spelled}", "store_true")
            parser.add_argument(word, dest=name, action=action, help=flag.help)
        elif annotation == tuple[str, ...]:
            parser.add_argument(name, nargs="*", help=flag.help)
        else:
            word, shown, choices = f"--{spelled}", flag.metavar, flag.choices
            parser.add_argument(word, type=annotation, default=default, metavar=shown, choices=choices, help=flag.help)


def read_flags(kind: type[T], parsed: argparse.Namespace) -> T:
    """Return the options of `kind` that were parsed, each filled by its name."""
    values = {name: getattr(parsed, name) for name, *_ in _flags(kind)}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def to_json(options: "DataclassInstance") -> str:
    """Return `options` as a JSON object; paths become text."""
    return json.dumps(asdict(options), default=str)


def from_json(kind: type[T], text: str) -> T:
    """Return the options of `kind` that `to_json` wrote; raise CommandError for an unknown key."""
    hints, values = get_type_hints(kind), json.loads(text)
    if unknown := sorted(values.keys() - hints.keys()):
        raise CommandError(f"{kind.__name__}: found {', '.join(unknown)}, needed some of {', '.join(hints)}")
    return kind(**{name: _restored(hints[name], value) for name, value in values.items()})


def _restored(hint: Any, value: Any) -> Any:
    """Return `value` of a JSON object as what an option of this type holds."""
    if isinstance(value, list):
        return tuple(value)
    return Path(value) if isinstance(value, str) and Path in (hint, *get_args(hint)) else value


def _flags(kind: "type[DataclassInstance]") -> Iterator[tuple[str, Any, Flag, Any]]:
    """Yield name, type, flag and default of every field that has a flag, in the order of declaration."""
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        annotation, *extras = get_args(hints[field.name]) or (hints[field.name],)
        for flag in extras:
            if isinstance(flag, Flag):
                yield field.name, annotation, flag, field.default
