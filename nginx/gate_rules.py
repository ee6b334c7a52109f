"""The gate's rules: who exists, who is in and who is out, and what Nginx and the clients are told. All pure."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

FAILURES_TO_LEAVE = 3
SUCCESSES_TO_ENTER = 2

STATES = ("starting", "ready", "draining", "broken")
FACTS = ("version", "engine", "precision", "in_flight", "queued")

# Passive checks cover the seconds the gate needs: a worker that fails at once has the fewest connections and would
# otherwise draw every request.
SERVER_PARAMETERS = "max_fails=3 fail_timeout=5s"
# Nginx needs an entry in every upstream; this one it never sends to, so a pool of nobody is answered 503 at once.
NOBODY = "    server 127.0.0.1:1 down;"
KEEPALIVE_S = 60  # below gunicorn's 75, so that Nginx is the one to close an idle connection


@dataclass(frozen=True)
class Member:
    """A worker that should exist; `address` is host:port, and the host may be a name."""

    worker: str
    server: str
    slot: str
    address: str
    model: str


Pools = dict[str, tuple[Member, ...]]  # by model; the first is the default
Servers = Mapping[str, str]  # by worker, the ip:port that Nginx is to use


class MembersError(ValueError):
    """members.json is not usable; the message says where and why."""


@dataclass(frozen=True)
class Probe:
    """What one question brought: the worker's own state, or `unreachable`. `at` is ISO 8601, UTC.

    `address` is the ip:port that was asked, None when the member's name did not resolve.
    """

    state: str
    reason: str | None
    at: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    address: str | None = None


@dataclass(frozen=True)
class Peer:
    """What is known of a member. `untested`: listed, since it was so before this gate began, but not yet heard.

    `address` is the ip:port that its name led to last, None while it never led anywhere.
    """

    standing: Literal["untested", "in", "out"]
    since: str
    state: str = "unreachable"
    reason: str | None = "not asked yet"
    facts: Mapping[str, Any] = field(default_factory=dict)
    failures: int = 0
    successes: int = 0
    address: str | None = None

    @property
    def asked(self) -> bool:
        return self.failures + self.successes > 0


def parse_members(text: str) -> Pools:
    """The pools in `text`; raises MembersError. Nginx's configuration is made of what passes here."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise MembersError(f"not JSON: {error}") from None
    if isinstance(document, dict) and set(document) - {"pools", "rendered"}:
        raise MembersError(f"found keys {', '.join(document)}; needed is an object with exactly pools")
    pools: Pools = {}
    for at, pool in _entries(document, "", "pools", ("model", "members")):
        model = _text(pool, at, "model", r"[a-z0-9][a-z0-9._-]{0,63}")
        if model in pools:
            raise MembersError(f"model {model!r} is there twice")
        pools[model] = tuple(
            Member(
                worker=_text(member, where, "worker", r"[A-Za-z0-9._-]+"),
                server=_text(member, where, "server", r".+"),
                slot=_text(member, where, "slot", r".+"),
                address=_text(member, where, "address", r"([A-Za-z0-9._-]+|\[[0-9a-f:]+\]):\d{1,5}"),
                model=model,
            )
            for where, member in _entries(pool, at, "members", ("worker", "server", "slot", "address"))
        )
    everyone = [member for members in pools.values() for member in members]
    for name in ("worker", "address"):
        values = [getattr(member, name) for member in everyone]
        for value in values:
            if values.count(value) > 1:
                raise MembersError(f"{name} {value!r} is there twice")
    return pools


def _entries(parent: Any, at: str, key: str, keys: tuple[str, ...]) -> Iterable[tuple[str, dict[str, Any]]]:
    entries = parent.get(key) if isinstance(parent, dict) else None
    if not isinstance(entries, list) or not entries:
        raise MembersError(f"{at}/{key}".lstrip("/") + ": needed is a list with at least one entry")
    for index, entry in enumerate(entries):
        where = f"{at}/{key}/{index}".lstrip("/")
        if not isinstance(entry, dict) or set(entry) != set(keys):
            raise MembersError(f"{where}: needed is an object with exactly {', '.join(keys)}")
        yield where, entry


def _text(entry: dict[str, Any], at: str, key: str, pattern: str) -> str:
    value = entry[key]
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise MembersError(f"{at}/{key}: found {value!r}, needed is text that matches {pattern}")
    return value


def understand(member: Member, status: int, body: bytes, at: str) -> Probe:
    """The probe that an answer of /readyz amounts to; anything but a worker's own words is `unreachable`."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or answer.get("state") not in STATES:
        return Probe("unreachable", f"its /readyz answered {status} with no known state", at)
    if (answer.get("worker"), answer.get("model")) != (member.worker, member.model):
        who = f"worker {answer.get('worker')!r} of model {answer.get('model')!r}"
        return Probe("unreachable", f"{member.address} is answered by {who}", at)
    if (answer["state"] == "ready") != (status == 200):
        return Probe("unreachable", f"its /readyz answered {status} but says {answer['state']}", at)
    return Probe(answer["state"], answer.get("reason"), at, {name: answer.get(name) for name in FACTS})


def next_state(peer: Peer, probe: Probe) -> Peer:
    """The peer after one more probe: out after 3 failures in a row or at once when draining, in after 2 successes."""
    ready = probe.state == "ready"
    successes = peer.successes + 1 if ready else 0
    failures = 0 if ready else peer.failures + 1
    standing = peer.standing
    if probe.state == "draining" or failures >= FAILURES_TO_LEAVE:
        standing = "out"
    elif ready and (standing == "untested" or successes >= SUCCESSES_TO_ENTER):
        standing = "in"
    changed = (standing, probe.state) != (peer.standing, peer.state)
    since = probe.at if changed else peer.since
    address = probe.address or peer.address
    return Peer(standing, since, probe.state, probe.reason, probe.facts, failures, successes, address)


def choose(members: Sequence[Member], peers: Mapping[Member, Peer], last: Iterable[str]) -> Servers:
    """What to list of a pool. Those that are out are omitted; when all are, the workers listed `last` stay.

    Nobody is listed at an address where another worker answers: containers take over the addresses of dead ones.
    """
    answering = {peer.address for peer in peers.values() if peer.state != "unreachable"}
    found = {
        member: address
        for member in members
        if (address := peers[member].address) and (peers[member].state != "unreachable" or address not in answering)
    }
    kept = set(last)
    chosen = (
        [member for member in found if peers[member].standing != "out"]
        or [member for member in found if member.worker in kept]
        or found
    )
    return {member.worker: found[member] for member in chosen}


def render_upstreams(pools: Mapping[str, Servers]) -> str:
    """upstreams.conf: an upstream for each model, and the maps that lead to it.

    Addresses, not names: Nginx resolves a name once, and refuses its whole configuration when one does not resolve.
    """
    first = next(iter(pools))
    lines = ["# Rendered by gate.py: the workers that answer. Do not edit: it is written anew at every change."]
    for model, servers in pools.items():
        lines += ["", f"upstream pool_{model} {{", f"    zone pool_{model} 256k;", "    least_conn;"]
        lines += [f"    server {address} {SERVER_PARAMETERS};  # {worker}" for worker, address in servers.items()]
        lines += [] if servers else [NOBODY]
        lines += ["    keepalive 32;", f"    keepalive_timeout {KEEPALIVE_S}s;", "}"]
    # The slash keeps a model called `default` or `include` from being read as map's own word.
    lines += ["", "map /$model $pool {", f"    / pool_{first};"]
    lines += [f"    /{model} pool_{model};" for model in pools]
    lines += ["}", "", 'map "" $known_models {', f'    default "{", ".join(pools)}";', "}", ""]
    return "\n".join(lines)


def listed_servers(upstreams: str) -> dict[str, str]:
    """The servers that a rendered upstreams.conf lists, of all pools together."""
    lines = re.findall(r"^    server (\S+) .*;  # (\S+)$", upstreams, re.MULTILINE)
    return {worker: address for address, worker in lines}


def render_status(pools: Pools, peers: Mapping[Member, Peer], listed: Servers, as_of: str) -> dict[str, Any]:
    """What GET /status serves. In is a worker that Nginx lists and that is known to answer; one makes a model ready."""
    workers = [
        _worker_status(member, peers[member], listed.get(member.worker))
        for members in pools.values()
        for member in members
    ]
    models = []
    for model in pools:
        ins = [worker["in"] for worker in workers if worker["model"] == model]
        models.append({"name": model, "ready": any(ins), "workers_in": sum(ins), "workers": len(ins)})
    return {"as_of": as_of, "models": models, "workers": workers}


def _worker_status(member: Member, peer: Peer, listed: str | None) -> dict[str, Any]:
    who = {"worker": member.worker, "server": member.server, "slot": member.slot, "model": member.model}
    here = listed is not None and listed == peer.address
    how = {"in": here and peer.standing == "in", "state": peer.state, "reason": peer.reason}
    return {**who, **how, **{name: peer.facts.get(name) for name in FACTS}, "since": peer.since}
