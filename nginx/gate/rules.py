"""The gate's rules: which workers are in rotation, and the text and documents rendered from that. All pure."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from .bypass import render_bypasses
from .members import Member, Pools
from .options import DEFAULTS, Options, render_options

FAILURES_TO_LEAVE = 3
SUCCESSES_TO_ENTER = 2

STATES = ("starting", "ready", "draining", "broken")
FACTS = ("version", "engine", "precision", "in_flight", "queued")

# Nginx's passive checks cover the seconds until the gate reacts: a worker that fails at once has the fewest
# connections, so that least_conn would send it every request.
SERVER_PARAMETERS = "max_fails=3 fail_timeout=5s"
# Nginx needs a server in every upstream; it never sends to this one, so requests for an empty pool get 503 at once.
PLACEHOLDER_SERVER = "    server 127.0.0.1:1 down;"
# Shared memory of an upstream: 1 KB for each server and 20 KB besides as Nginx 1.22 needs it, and a reserve.
ZONE_KB, ZONE_BASE_KB, SERVER_KB = 256, 64, 2
KEEPALIVE, MOST_KEEPALIVE = 32, 512  # idle connections of a small and of a large pool, of nginx.conf's 2048
KEEPALIVE_S = 60  # below gunicorn's 75, so that Nginx is the one to close an idle connection
KNOWN_MODELS_CHARACTERS = 2000  # Nginx refuses a text of more than 4096 characters
EJECTED = "it answered with server errors while the others did not: ejected, for the {}. time"

Servers = Mapping[str, str]  # by worker, the ip:port for Nginx


@dataclass(frozen=True)
class Probe:
    """The result of one probe: the state the worker reported, or `unreachable`. `at` is ISO 8601, UTC.

    `address` is the probed ip:port, None if the member's name did not resolve. `identity` holds the worker and slot
    names that a discovered worker reported.
    """

    state: str
    reason: str | None
    at: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    address: str | None = None
    identity: Mapping[str, str] = field(default_factory=dict)
    model_info: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Peer:
    """The gate's view of a member. `untested`: the previous gate listed it, and this one has not probed it yet.

    `address` is the ip:port that its name resolved to last, None if it never resolved. It is `ejected` (outliers.py)
    until the monotonic time `ejected_until`, in seconds, for the time number `ejections`.
    """

    rotation: Literal["untested", "in", "out", "ejected"]
    since: str
    state: str = "unreachable"
    reason: str | None = "not probed yet"
    facts: Mapping[str, Any] = field(default_factory=dict)
    failures: int = 0
    successes: int = 0
    address: str | None = None
    identity: Mapping[str, str] = field(default_factory=dict)
    model_info: Mapping[str, Any] | None = None  # the last description of its model
    ejections: int = 0
    ejected_until: float = 0.0

    @property
    def listable(self) -> bool:
        return self.rotation in ("untested", "in")

    @property
    def probed(self) -> bool:
        return self.failures + self.successes > 0


def parse_readyz(member: Member, status: int, body: bytes, at: str) -> Probe:
    """Return the probe for an answer of /readyz; `unreachable` unless it comes from the expected worker and model."""
    try:
        answer = json.loads(body, parse_constant=lambda _: None)  # NaN would make the status no JSON
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or answer.get("state") not in STATES:
        return Probe("unreachable", f"its /readyz answered {status} without a known state", at)
    worker, model = answer.get("worker"), answer.get("model")
    if model != member.model or (worker != member.worker and not member.discovered):
        return Probe("unreachable", f"{member.address} answers as worker {worker!r} of model {model!r}", at)
    if (answer["state"] == "ready") != (status == 200):
        return Probe("unreachable", f"its /readyz answered {status} but says {answer['state']}", at)
    identity = {name: str(answer.get(name)) for name in ("worker", "slot")} if member.discovered else {}
    facts, info = {name: answer.get(name) for name in FACTS}, answer.get("model_info")
    model_info = info if isinstance(info, dict) else None
    return Probe(answer["state"], answer.get("reason"), at, facts, identity=identity, model_info=model_info)


def next_state(peer: Peer, probe: Probe) -> Peer:
    """Return the peer after one more probe.

    It leaves after FAILURES_TO_LEAVE failures in a row, or at once when draining, and enters after
    SUCCESSES_TO_ENTER successes in a row; an untested one after its first. An ejected one whose probes fail is
    merely out: when they succeed again, it is another process.
    """
    ready = probe.state == "ready"
    successes = peer.successes + 1 if ready else 0
    failures = 0 if ready else peer.failures + 1
    rotation = peer.rotation
    if probe.state == "draining" or failures >= FAILURES_TO_LEAVE:
        rotation = "out"
    elif ready and (rotation == "untested" or (rotation == "out" and successes >= SUCCESSES_TO_ENTER)):
        rotation = "in"
    changed = (rotation, probe.state) != (peer.rotation, peer.state)
    return replace(
        peer,
        rotation=rotation,
        since=probe.at if changed else peer.since,
        state=probe.state,
        reason=probe.reason,
        facts=probe.facts,
        failures=failures,
        successes=successes,
        address=probe.address or peer.address,
        identity=probe.identity or peer.identity,
        model_info=probe.model_info or peer.model_info,
    )


def select_servers(members: Sequence[Member], peers: Mapping[Member, Peer], last: Iterable[str]) -> Servers:
    """Return the servers to list for a pool: its workers in rotation; if there are none, the workers listed `last`.

    A worker is never listed at an address where another one answers: a container may get the address of a dead one.
    """
    answering = {peer.address for peer in peers.values() if peer.state != "unreachable"}
    addresses = {
        member: address
        for member in members
        if (address := peers[member].address) and (peers[member].state != "unreachable" or address not in answering)
    }
    listed_last = set(last)
    selected = (
        [member for member in addresses if peers[member].listable]
        or [member for member in addresses if member.worker in listed_last]
        or addresses
    )
    return {member.worker: addresses[member] for member in selected}


def render_upstreams(pools: Mapping[str, Servers], answers_to: str | None = None, options: Options = DEFAULTS) -> str:
    """Return upstreams.conf: an upstream for each model with its bypasses, the maps that select it, and the options.

    Nginx logs the workers' answers to `answers_to` if the gate listens there. The file holds IP addresses: Nginx
    resolves a name only once, and rejects its whole configuration if one fails.
    """
    first = next(iter(pools))
    lines = ["# Rendered by the gate: the workers that answer. Do not edit: every change rewrites this file."]
    lines += ["", f"access_log {answers_to} answers if=$upstream_addr;"] if answers_to else []
    for model, servers in pools.items():
        listed = [f"    server {address} {SERVER_PARAMETERS};  # {worker}" for worker, address in servers.items()]
        listed = listed or [PLACEHOLDER_SERVER]
        zone_kb = max(ZONE_KB, ZONE_BASE_KB + SERVER_KB * len(listed))
        lines += ["", f"upstream pool_{model} {{", f"    zone pool_{model} {zone_kb}k;", "    least_conn;", *listed]
        # Each of Nginx's processes has an idle connection to every worker, or it would often open one for a request.
        keepalive = min(max(KEEPALIVE, len(listed)), MOST_KEEPALIVE)
        lines += [f"    keepalive {keepalive};", f"    keepalive_timeout {KEEPALIVE_S}s;", "}"]
        lines += render_bypasses(model, listed)
    # The slash keeps a model called `default` or `include` from being read as a keyword of map.
    lines += ["", "map /$model $pool {", f"    / pool_{first};"]
    lines += [f"    /{model} pool_{model};" for model in pools]
    # A worker says that a request's body names another model; its header, unlike the address, may name none.
    lines += ["}", "", "map /$body_model $body_pool {", '    default "";']
    lines += [f"    /{model} pool_{model};" for model in pools]
    lines += ["}", "", 'map "" $known_models {', f'    default "{_known_models(list(pools))}";', "}"]
    return "\n".join([*lines, *render_options(options), ""])


def _known_models(models: Sequence[str]) -> str:
    """Return the names for the error of an unknown model: as many as fit into KNOWN_MODELS_CHARACTERS, at least one."""
    shown, characters = 1, len(models[0])
    while shown < len(models) and (characters := characters + 2 + len(models[shown])) <= KNOWN_MODELS_CHARACTERS:
        shown += 1
    left = len(models) - shown
    return ", ".join(models[:shown]) + (f" and {left} more, which GET /models lists" if left else "")


def listed_pools(upstreams: str) -> dict[str, dict[str, str]]:
    """Return the servers listed in a rendered upstreams.conf, by model."""
    blocks = re.findall(r"^upstream pool_(\S+) \{$(.*?)^\}$", upstreams, re.MULTILINE | re.DOTALL)
    servers = re.compile(r"^    server (\S+) .*;  # (\S+)$", re.MULTILINE)
    return {model: {worker: address for address, worker in servers.findall(block)} for model, block in blocks}


def listed_servers(upstreams: str) -> dict[str, str]:
    """Return the servers listed in a rendered upstreams.conf, all pools together."""
    return {worker: address for servers in listed_pools(upstreams).values() for worker, address in servers.items()}


def render_status(pools: Pools, peers: Mapping[Member, Peer], listed: Servers, as_of: str) -> dict[str, Any]:
    """Return the body of GET /status.

    A worker is `in` if Nginx lists it and its probes succeed; a model is ready if one of its workers is.
    """
    workers = [
        _worker_status(member, peers[member], listed.get(member.worker))
        for members in pools.values()
        for member in members
    ]
    models = []
    for model in pools:
        in_rotation = [worker["in"] for worker in workers if worker["model"] == model]
        counts = {"workers_in": sum(in_rotation), "workers": len(in_rotation)}
        models.append({"name": model, "ready": any(in_rotation), **counts})
    return {"as_of": as_of, "models": models, "workers": workers}


def render_models(status: Mapping[str, Any], pools: Pools, peers: Mapping[Member, Peer]) -> dict[str, Any]:
    """Return the body of GET /models: every model, whether it is ready, and one of its workers' description of it."""
    models = []
    for model in status["models"]:
        # Workers in rotation first: one that left long ago may have served another version.
        members = sorted(pools[model["name"]], key=lambda member: peers[member].rotation != "in")
        infos = (peers[member].model_info for member in members)
        models.append({"name": model["name"], "ready": model["ready"], **(next(filter(None, infos), {}))})
    return {"models": models}


def render_index(models: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the body of POST /v2/repository/index, from that of GET /models."""
    return [
        {
            "name": model["name"],
            "version": model.get("version", ""),
            "state": "READY" if model["ready"] else "UNAVAILABLE",
            "reason": "" if model["ready"] else "no worker in rotation",
        }
        for model in models["models"]
    ]


def _worker_status(member: Member, peer: Peer, listed: str | None) -> dict[str, Any]:
    worker, slot = peer.identity.get("worker", member.worker), peer.identity.get("slot", member.slot)
    # A slot is named after its server: this-cpu0.
    server = member.server or slot.rpartition("-")[0]
    identity = {"worker": worker, "server": server, "slot": slot, "model": member.model}
    is_listed = listed is not None and listed == peer.address
    reason = EJECTED.format(peer.ejections) if peer.rotation == "ejected" else peer.reason
    health = {"in": is_listed and peer.rotation == "in", "state": peer.state, "reason": reason}
    return {**identity, **health, **{name: peer.facts.get(name) for name in FACTS}, "since": peer.since}
