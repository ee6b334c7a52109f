"""What a value of `cluster.toml` may be: the kinds of keys, and how a dataclass's field declares a key of one."""

import ipaddress
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from worker.contract.cpu_list import parse_cpu_list

REQUIRED = object()
Read = Callable[[Any], Any]


@dataclass(frozen=True)
class Key:
    """A kind of key: `read` converts its TOML value, or raises ValueError; `needed` describes a valid value."""

    needed: str
    read: Read
    default: object = REQUIRED  # as the file would state it; `read` converts it, too


def declare(kind: Key, default: object = REQUIRED) -> Any:
    """Return a dataclass's field for a key of this kind; `default` is as the file would state it."""
    metadata = {"key": replace(kind, default=default)}
    return field(metadata=metadata) if default is REQUIRED else field(default=kind.read(default), metadata=metadata)


def keys_of(table: type) -> dict[str, Key]:
    """Return the keys that the fields of the dataclass `table` declare, by name."""
    return {one.name: one.metadata["key"] for one in fields(table)}


def _require(value: Any, fits: bool) -> Any:
    if not fits:
        raise ValueError
    return value


def _matching(pattern: str) -> Read:
    return lambda value: _require(value, isinstance(value, str) and re.fullmatch(pattern, value) is not None)


def _list_of(read: Read) -> Read:
    def read_list(value: Any) -> Any:
        items = tuple(map(read, _require(value, isinstance(value, list))))
        return _require(items, len(set(items)) == len(items))

    return read_list


def text(needed: str, pattern: str) -> Key:
    return Key(needed, _matching(pattern))


def path(of: str) -> Key:
    return Key(f"the path of {of}", lambda value: Path(_matching(r"[^\0\n]+")(value)))


def choice(known: Iterable[str]) -> Key:
    return Key(" or ".join(map(json.dumps, known)), lambda value: _require(value, value in known))


def whole(minimum: int, maximum: float = float("inf"), what: str = "a whole number") -> Key:
    """Return the kind of `what` from `minimum` to `maximum`."""
    needed = f"{what} from {minimum}" + (f" to {maximum}" if maximum < float("inf") else "")
    return Key(needed, lambda value: _require(value, type(value) is int and minimum <= value <= maximum))


def networks(needed: str) -> Key:
    return Key(needed, _list_of(lambda value: str(ipaddress.ip_network(_require(value, isinstance(value, str))))))


def auto_or(kind: Key) -> Key:
    """Return the kind of "auto", which is read as None, and of what `kind` takes."""
    return Key(f'"auto" or {kind.needed}', lambda value: None if value == "auto" else kind.read(value))


def auto_none_or(kind: Key) -> Key:
    """Return the kind of "auto", read as None, of "none", read as an empty tuple, and of what `kind` takes."""
    return Key(f'"auto", "none" or {kind.needed}', lambda value: () if value == "none" else auto_or(kind).read(value))


def _ip_address(value: Any) -> str:
    address = ipaddress.ip_address(_require(value, isinstance(value, str)))
    # A link-local one would need the name of its interface.
    _require(value, not address.is_multicast and not address.is_link_local)
    return str(address)


def _host(value: Any) -> Any:
    _matching(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")(value)
    return str(ipaddress.IPv4Address(value)) if re.fullmatch(r"[\d.]+", value) else value


def _pool(value: Any) -> str:
    pool = ipaddress.IPv4Network(_require(value, isinstance(value, str)))
    return str(_require(pool, 8 <= pool.prefixlen <= 23))


_HOST_NAME = _matching(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_ORIGIN = _matching(r"[a-z][a-z0-9+.-]*://([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_UUIDS = _list_of(_matching(r"(GPU|MIG)-[0-9A-Za-z/-]+"))

BOOLEAN = Key("true or false", lambda value: _require(value, isinstance(value, bool)))
PORT = whole(1, 65535, "a port")
PORT_OR_0 = Key(f"{PORT.needed}, or 0", whole(0, 65535).read)
AUTO_OR_COUNT = auto_or(whole(1))
MANAGERS = Key('"auto", 1, 3, 5 or 7', auto_or(Key("", lambda most: _require(whole(1, 7).read(most), most % 2))).read)
HOST = Key("a host name or an IPv4 address", _host)
HOST_NAMES = Key('a list of host names such as "a.example.org" or "*.example.org"', _list_of(_HOST_NAME))
ADDRESSES = Key("a list of IPv4 and IPv6 addresses", _list_of(_ip_address))
POOL = Key("an IPv4 network of /8 to /23", _pool)
ORIGINS = Key(
    'a list of origins such as "https://example.org", or ["*"] for all',
    lambda value: ("*",) if value == ["*"] else _list_of(_ORIGIN)(value),
)
GPUS = auto_none_or(Key("a list of GPU UUIDs", lambda value: _require(_UUIDS(value), value != [])))
CPUS = auto_none_or(Key('a list of CPUs such as "0-3,8"', lambda value: parse_cpu_list(_matching(r".*\S.*")(value))))
