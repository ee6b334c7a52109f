"""members.json: which workers should exist, by their addresses or by a name that leads to them. Pure."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

HOST, PORT = r"[A-Za-z0-9._-]+", r":\d{1,5}"


@dataclass(frozen=True)
class Member:
    """A worker that should exist; `address` is host:port, and the host may be a name.

    One that its pool's name led to is called by its address, and says itself what it is called.
    """

    worker: str
    server: str
    slot: str
    address: str
    model: str

    @property
    def was_found(self) -> bool:
        return self.worker == self.address


@dataclass(frozen=True)
class Name:
    """Stands for all workers of a model: they are wherever `address`, a host's name and a port, leads at the time."""

    model: str
    address: str

    def members(self, addresses: Iterable[str]) -> tuple[Member, ...]:
        """The workers that were found at the addresses, each ip:port."""
        return tuple(Member(address, "", "", address, self.model) for address in sorted(addresses))


Declared = dict[str, tuple[Member, ...] | Name]  # by model; the first is the default
Pools = dict[str, tuple[Member, ...]]  # the same, once names were followed


class MembersError(ValueError):
    """members.json is not usable; the message says where and why."""


def parse_members(text: str) -> Declared:
    """The pools in `text`; raises MembersError. Nginx's configuration is made of what passes here."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise MembersError(f"not JSON: {error}") from None
    if isinstance(document, dict) and set(document) - {"pools", "rendered"}:
        raise MembersError(f"found keys {', '.join(document)}; needed is an object with exactly pools")
    pools: Declared = {}
    for at, pool in _entries(document, "", "pools", ("model", "members"), ("model", "discover")):
        model = _text(pool, at, "model", r"[a-z0-9][a-z0-9._-]{0,63}")
        if model in pools:
            raise MembersError(f"model {model!r} is there twice")
        pools[model] = (
            Name(model, _text(pool, at, "discover", HOST + PORT)) if "discover" in pool else _members(pool, at, model)
        )
    _refuse_repeated([member for pool in pools.values() if not isinstance(pool, Name) for member in pool])
    return pools


def _members(pool: dict[str, Any], at: str, model: str) -> tuple[Member, ...]:
    return tuple(
        Member(
            worker=_text(member, where, "worker", r"[A-Za-z0-9._-]+"),
            server=_text(member, where, "server", r".+"),
            slot=_text(member, where, "slot", r".+"),
            address=_text(member, where, "address", rf"({HOST}|\[[0-9a-f:]+\]){PORT}"),
            model=model,
        )
        for where, member in _entries(pool, at, "members", ("worker", "server", "slot", "address"))
    )


def _refuse_repeated(everyone: Sequence[Member]) -> None:
    for name in ("worker", "address"):
        values = [getattr(member, name) for member in everyone]
        for value in values:
            if values.count(value) > 1:
                raise MembersError(f"{name} {value!r} is there twice")


def _entries(parent: Any, at: str, key: str, *shapes: tuple[str, ...]) -> Iterable[tuple[str, dict[str, Any]]]:
    """The objects of a list and where each is; each must have exactly the keys of one of the `shapes`."""
    entries = parent.get(key) if isinstance(parent, dict) else None
    if not isinstance(entries, list) or not entries:
        raise MembersError(f"{at}/{key}".lstrip("/") + ": needed is a list with at least one entry")
    for index, entry in enumerate(entries):
        where = f"{at}/{key}/{index}".lstrip("/")
        if not isinstance(entry, dict) or set(entry) not in map(set, shapes):
            needed = " or ".join(", ".join(keys) for keys in shapes)
            raise MembersError(f"{where}: needed is an object with exactly {needed}")
        yield where, entry


def _text(entry: dict[str, Any], at: str, key: str, pattern: str) -> str:
    value = entry[key]
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise MembersError(f"{at}/{key}: found {value!r}, needed is text that matches {pattern}")
    return value
