"""What an option in members.json may be: the kinds of a dataclass's fields, and how an object is read into them. Pure.

Options become part of Nginx's configuration, so what scripts/cluster/kinds.py has checked is checked here, too.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import MISSING, field, fields
from typing import Any, TypeVar

from .members import MembersError

T = TypeVar("T")


def read_object(kind: type[T], given: Any, path: str) -> T:
    """Return the dataclass `kind` with what the object `given` at `path` has; raise MembersError if it is invalid."""
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
    required = {name for name, one in known.items() if one.default is MISSING}
    if not isinstance(given, dict) or not required <= set(given) <= set(known):
        some = "" if required else "some of "
        raise MembersError(f"{path}: found {given!r}, needed an object with {some}{', '.join(known)}")
    return kind(**{name: _read(known[name].metadata, value, f"{path}/{name}") for name, value in given.items()})


def _read(declared: Any, value: Any, path: str) -> Any:
    if "object" in declared:
        return read_object(declared["object"], value, path)
    try:
        return declared["read"](value)
    except (ValueError, TypeError):
        raise MembersError(f"{path}: found {value!r}, needed {declared['needed']}") from None


def nested(kind: type, default: object) -> Any:
    """Return the field of an object of the dataclass `kind`."""
    return field(default=default, metadata={"object": kind})


def option(needed: str, read: Callable[[Any], Any], default: Any) -> Any:
    """Return a field whose value `read` converts, or raises ValueError; `needed` describes a valid one."""
    return field(default=default, metadata={"needed": needed, "read": read})


def _require(value: Any, fits: bool) -> Any:
    if not fits:
        raise ValueError
    return value


def whole(minimum: int, default: object = MISSING) -> Any:
    """Return the field of a whole number, or of null if that is its default."""

    def read(value: Any) -> Any:
        return _require(value, (type(value) is int and value >= minimum) or value is default is None)

    return option(f"a whole number from {minimum}{', or null' if default is None else ''}", read, default)


def boolean() -> Any:
    return option("true or false", lambda value: _require(value, isinstance(value, bool)), False)


def choice(known: tuple[str, ...], default: str) -> Any:
    return option(f"one of {', '.join(known)}", lambda value: _require(value, value in known), default)


def listed(what: str, read: Callable[[Any], Any]) -> Any:
    """Return the field of a list of `what`, each item of which `read` converts."""
    return option(f"a list of {what}", lambda value: tuple(map(read, _require(value, isinstance(value, list)))), ())


def texts(what: str, pattern: str) -> Any:
    return listed(what, lambda value: _require(value, re.fullmatch(pattern, value) is not None))


def networks() -> Any:
    return listed("networks", lambda value: str(ipaddress.ip_network(_require(value, isinstance(value, str)))))
