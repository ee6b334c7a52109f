"""The gate's rules: who is in and who is out, and what Nginx and the clients are told. All pure."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .members import Member, Pools

FAILURES_TO_LEAVE = 3
SUCCESSES_TO_ENTER = 2

STATES = ("starting", "ready", "draining", "broken")
FACTS = ("version", "engine", "precision", "in_flight", "queued")

# Passive checks cover the seconds the gate needs: a worker that fails at once has the fewest connections and would
# otherwise draw every request.
SERVER_PARAMETERS = "max_fails=3 fail_timeout=5s"
# Nginx needs an entry in every upstream; this one it never sends to, so a pool of nobody is answered 503 at once.
PLACEHOLDER_SERVER = "    server 127.0.0.1:1 down;"
KEEPALIVE_S = 60  # below gunicorn's 75, so that Nginx is the one to close an idle connection

Servers = Mapping[str, str]  # by worker, the ip:port that Nginx is to use


@dataclass(frozen=True)
class Probe:
    """What one question brought: the worker's own state, or `unreachable`. `at` is ISO 8601, UTC.

    `address` is the ip:port that was asked, None when the member's name did not resolve. `who` is what a worker that
    was found calls itself and its slot.
    """

    state: str
    reason: str | None
    at: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    address: str | None = None
    who: Mapping[str, str] = field(default_factory=dict)
    model_info: Mapping[str, Any] | None = None


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
    who: Mapping[str, str] = field(default_factory=dict)
    model_info: Mapping[str, Any] | None = None  # what it said of its model last

    @property
    def asked(self) -> bool:
        return self.failures + self.successes > 0


def parse_readyz(member: Member, status: int, body: bytes, at: str) -> Probe:
    """The probe that an answer of /readyz amounts to; anything but a worker's own words is `unreachable`."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or answer.get("state") not in STATES:
        return Probe("unreachable", f"its /readyz answered {status} with no known state", at)
    worker, model = answer.get("worker"), answer.get("model")
    if model != member.model or (worker != member.worker and not member.was_found):
        return Probe("unreachable", f"{member.address} is answered by worker {worker!r} of model {model!r}", at)
    if (answer["state"] == "ready") != (status == 200):
        return Probe("unreachable", f"its /readyz answered {status} but says {answer['state']}", at)
    who = {name: str(answer.get(name)) for name in ("worker", "slot")} if member.was_found else {}
    facts, info = {name: answer.get(name) for name in FACTS}, answer.get("model_info")
    model_info = info if isinstance(info, dict) else None
    return Probe(answer["state"], answer.get("reason"), at, facts, who=who, model_info=model_info)


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
    who, info = probe.who or peer.who, probe.model_info or peer.model_info
    return Peer(standing, since, probe.state, probe.reason, probe.facts, failures, successes, address, who, info)


def select_servers(members: Sequence[Member], peers: Mapping[Member, Peer], last: Iterable[str]) -> Servers:
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
    lines = ["# Rendered by the gate: the workers that answer. Do not edit: it is written anew at every change."]
    for model, servers in pools.items():
        lines += ["", f"upstream pool_{model} {{", f"    zone pool_{model} 256k;", "    least_conn;"]
        lines += [f"    server {address} {SERVER_PARAMETERS};  # {worker}" for worker, address in servers.items()]
        lines += [] if servers else [PLACEHOLDER_SERVER]
        lines += ["    keepalive 32;", f"    keepalive_timeout {KEEPALIVE_S}s;", "}"]
    # The slash keeps a model called `default` or `include` from being read as map's own word.
    lines += ["", "map /$model $pool {", f"    / pool_{first};"]
    lines += [f"    /{model} pool_{model};" for model in pools]
    lines += ["}", "", 'map "" $known_models {', f'    default "{", ".join(pools)}";', "}", ""]
    return "\n".join(lines)


def listed_pools(upstreams: str) -> dict[str, dict[str, str]]:
    """The servers that a rendered upstreams.conf lists, by model."""
    blocks = re.findall(r"^upstream pool_(\S+) \{$(.*?)^\}$", upstreams, re.MULTILINE | re.DOTALL)
    servers = re.compile(r"^    server (\S+) .*;  # (\S+)$", re.MULTILINE)
    return {model: {worker: address for address, worker in servers.findall(block)} for model, block in blocks}


def listed_servers(upstreams: str) -> dict[str, str]:
    """The servers that a rendered upstreams.conf lists, of all pools together."""
    return {worker: address for servers in listed_pools(upstreams).values() for worker, address in servers.items()}


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


def render_models(status: Mapping[str, Any], pools: Pools, peers: Mapping[Member, Peer]) -> dict[str, Any]:
    """Return what GET /models serves: every model, whether it is ready, and what one of its workers says of it."""
    models = []
    for model in status["models"]:
        # A worker that left long ago may have served another version.
        members = sorted(pools[model["name"]], key=lambda member: peers[member].standing != "in")
        infos = (peers[member].model_info for member in members)
        models.append({"name": model["name"], "ready": model["ready"], **(next(filter(None, infos), {}))})
    return {"models": models}


def _worker_status(member: Member, peer: Peer, listed: str | None) -> dict[str, Any]:
    worker, slot = peer.who.get("worker", member.worker), peer.who.get("slot", member.slot)
    # A slot is named after its server: this-cpu0.
    server = member.server or slot.rpartition("-")[0]
    who = {"worker": worker, "server": server, "slot": slot, "model": member.model}
    here = listed is not None and listed == peer.address
    how = {"in": here and peer.standing == "in", "state": peer.state, "reason": peer.reason}
    return {**who, **how, **{name: peer.facts.get(name) for name in FACTS}, "since": peer.since}
