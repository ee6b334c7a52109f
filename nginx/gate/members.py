"""Parse members.json: the workers that should exist, by address or by a host name that resolves to them. Pure."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

SCHEMA = 1  # of members.json; worker/contract/schemas.py has it, too
KNOWN = ("rendered", "schema", "gateway", "pools")  # keys; the first says who wrote it
HOST, PORT = r"[A-Za-z0-9._-]+", r":\d{1,5}"


@dataclass(frozen=True)
class Member:
    """A worker that should exist; `address` is host:port, and the host may be a name.

    A discovered member's `worker` is its address; the worker's answer to a probe gives its real name.
    """

    worker: str
    server: str
    slot: str
    address: str
    model: str

    @property
    def discovered(self) -> bool:
        return self.worker == self.address


@dataclass(frozen=True)
class DiscoveredPool:
    """A pool declared by one `address`, host:port; its members are the addresses that the host resolves to."""

    model: str
    address: str

    def members(self, addresses: Iterable[str]) -> tuple[Member, ...]:
        """Return a member for each of the addresses, ip:port, in sorted order."""
        return tuple(Member(address, "", "", address, self.model) for address in sorted(addresses))


DeclaredPools = dict[str, tuple[Member, ...] | DiscoveredPool]  # by model; the first is the default
Pools = dict[str, tuple[Member, ...]]  # the same, with every discovered pool resolved


class MembersError(ValueError):
    """members.json cannot be used; the message says where and why."""


def parse_members(text: str) -> DeclaredPools:
    """Return the pools in `text`; raise MembersError if it is invalid.

    The patterns are strict because these values become part of Nginx's configuration.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise MembersError(f"not JSON: {error}") from None
    schema = document.get("schema", SCHEMA) if isinstance(document, dict) else SCHEMA
    if type(schema) is not int or not 1 <= schema <= SCHEMA:
        raise MembersError(f"schema: found {schema!r}, needed 1 to {SCHEMA}: use the gateway of its own release")
    if isinstance(document, dict) and set(document) - set(KNOWN):
        raise MembersError(f"found keys {', '.join(document)}, needed pools, and none but {', '.join(KNOWN)}")
    pools: DeclaredPools = {}
    for path, pool in _entries(document, "", "pools", ("model", "members"), ("model", "discover")):
        model = _text(pool, path, "model", r"[a-z0-9][a-z0-9._-]{0,63}")
        if model in pools:
            raise MembersError(f"model {model!r} appears twice")
        if "discover" in pool:
            pools[model] = DiscoveredPool(model, _text(pool, path, "discover", HOST + PORT))
        else:
            pools[model] = _members(pool, path, model)
    _check_unique([member for pool in pools.values() if not isinstance(pool, DiscoveredPool) for member in pool])
    return pools


def _members(pool: dict[str, Any], path: str, model: str) -> tuple[Member, ...]:
    return tuple(
        Member(
            worker=_text(member, member_path, "worker", r"[A-Za-z0-9._-]+"),
            server=_text(member, member_path, "server", r".+"),
            slot=_text(member, member_path, "slot", r".+"),
            address=_text(member, member_path, "address", rf"({HOST}|\[[0-9a-f:]+\]){PORT}"),
            model=model,
        )
        for member_path, member in _entries(pool, path, "members", ("worker", "server", "slot", "address"))
    )


def _check_unique(members: Sequence[Member]) -> None:
    for name in ("worker", "address"):
        for value, times in Counter(getattr(member, name) for member in members).items():
            if times > 1:
                raise MembersError(f"{name} {value!r} appears twice")


def _entries(parent: Any, path: str, key: str, *shapes: tuple[str, ...]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield the path and the object of each entry of a list; raise MembersError if one matches none of `shapes`."""
    entries = parent.get(key) if isinstance(parent, dict) else None
    if not isinstance(entries, list) or not entries:
        raise MembersError(f"{path}/{key}".lstrip("/") + ": needed a list with at least one entry")
    for index, entry in enumerate(entries):
        entry_path = f"{path}/{key}/{index}".lstrip("/")
        if not isinstance(entry, dict) or set(entry) not in map(set, shapes):
            needed = " or ".join(", ".join(keys) for keys in shapes)
            raise MembersError(f"{entry_path}: needed an object with exactly {needed}")
        yield entry_path, entry


def _text(entry: dict[str, Any], path: str, key: str, pattern: str) -> str:
    value = entry[key]
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise MembersError(f"{path}/{key}: found {value!r}, needed text that matches {pattern}")
    return value
