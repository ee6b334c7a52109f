"""The documents that the gate serves: GET /status, GET /models and the index of `/v2`. All pure."""

from collections.abc import Mapping
from typing import Any

from .members import Member, Pools
from .reasons import Reason
from .rules import FACTS, Peer, Servers, is_kept_whole

NONE: Mapping[str, Any] = {}
KEPT_WHOLE = "most of its workers failed, workers left: {}; requests go to all, for it may be the gate that is wrong"


def render_status(
    pools: Pools, peers: Mapping[Member, Peer], listed: Servers, as_of: str, rates: Mapping[str, Any] = NONE
) -> dict[str, Any]:
    """Return the body of GET /status.

    A worker is `in` if Nginx lists it and its probes succeed; a model is ready if one of its workers is. `rates` says
    what each model has answered recently.
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
        reason = KEPT_WHOLE.format(counts["workers_in"]) if is_kept_whole(pools[model], peers) else None
        models.append(
            {"name": model, "ready": any(in_rotation), "reason": reason, **counts, "recent": rates.get(model)}
        )
    return {"as_of": as_of, "models": models, "workers": workers}


def render_models(status: Mapping[str, Any], pools: Pools, peers: Mapping[Member, Peer]) -> dict[str, Any]:
    """Return the body of GET /models: every model, its state, and one of its workers' description of it."""
    models = []
    for model in status["models"]:
        # Workers in rotation first: one that left long ago may have served another version.
        members = sorted(pools[model["name"]], key=lambda member: peers[member].rotation != "in")
        infos = (peers[member].model_info for member in members)
        state = {name: model[name] for name in ("name", "ready", "workers_in", "workers")}
        models.append({**state, **(next(filter(None, infos), {}))})
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
    reason = Reason.EJECTED.format(times=peer.ejections) if peer.rotation == "ejected" else peer.reason
    health = {"in": is_listed and peer.rotation == "in", "state": peer.state, "reason": reason}
    return {**identity, **health, **{name: peer.facts.get(name) for name in FACTS}, "since": peer.since}
