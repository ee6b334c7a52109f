"""Command options as dataclasses: one declaration gives the flag, its type and help text, and its JSON key.

A field whose annotation contains a `Flag` becomes a flag: `lines: Annotated[int, Flag("lines of each log")] = 20` is
`--lines`. A bool is a switch; if its default is True, the switch is `--no-NAME`. A `tuple[str, ...]` takes all
positional arguments. Fields without a `Flag` are set by code.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from scripts.base.errors import CommandError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


@dataclass(frozen=True)
class Flag:
    """Describe an option on the command line: its help text, metavar and allowed values."""

    help: str
    metavar: str | None = None
    choices: tuple[str, ...] | None = None


def add_flags(parser: argparse.ArgumentParser, options: "type[DataclassInstance]") -> None:
    """Add a flag to `parser` for every option of the dataclass `options`."""
    for name, annotation, flag, default in _flags(options):
        dashed = name.replace("_", "-")
        if annotation is bool:
            flag_name, action = (f"--no-{dashed}", "store_false") if default else (f"--{dashed}", "store_true")
            parser.add_argument(flag_name, dest=name, action=action, help=flag.help)
        elif annotation == tuple[str, ...]:
            parser.add_argument(name, nargs="*", help=flag.help)
        else:
            parser.add_argument(
                f"--{dashed}",
                type=annotation,
                default=default,
                metavar=flag.metavar,
                choices=flag.choices,
                help=flag.help,
            )


def read_flags(options: type[T], parsed: argparse.Namespace) -> T:
    """Return an instance of `options` with the parsed values of its flags."""
    values = {name: getattr(parsed, name) for name, *_ in _flags(options)}
    return options(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def made_folder(path: Path) -> Path:
    """Return the absolute path of the folder that OUT= names, made if it is missing; raise CommandError otherwise."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            return path.absolute()
    except OSError as error:
        raise CommandError(f"OUT: {path}: {error.strerror}: needed a folder that can be written: set OUT=") from error


def to_json(options: "DataclassInstance") -> str:
    """Return `options` as a JSON object, with each path as a string."""
    return json.dumps(asdict(options), default=str)


def from_json(options: type[T], text: str) -> T:
    """Return the instance of `options` that `to_json` wrote as `text`; raise CommandError if it has an unknown key."""
    hints, values = get_type_hints(options), json.loads(text)
    if unknown := sorted(values.keys() - hints.keys()):
        raise CommandError(f"{options.__name__}: found {', '.join(unknown)}, needed some of {', '.join(hints)}")
    return options(**{name: _from_json_value(hints[name], value) for name, value in values.items()})


def _from_json_value(hint: Any, value: Any) -> Any:
    """Return the JSON `value` as an option of the type `hint` holds it: a list as a tuple, a string as a Path."""
    if isinstance(value, list):
        return tuple(value)
    return Path(value) if isinstance(value, str) and Path in (hint, *get_args(hint)) else value


def _flags(options: "type[DataclassInstance]") -> Iterator[tuple[str, Any, Flag, Any]]:
    """Yield the name, type, flag and default of every field with a flag, in order of declaration."""
    hints = get_type_hints(options, include_extras=True)
    for field in fields(options):
        annotation, *extras = get_args(hints[field.name]) or (hints[field.name],)
        for flag in extras:
            if isinstance(flag, Flag):
                yield field.name, annotation, flag, field.default
