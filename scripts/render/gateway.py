"""Render what the gate and Nginx read: the member list with the gateway's options, and the listen directives."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from scripts.cluster.config import Cluster
from scripts.cluster.plan import Plan
from scripts.render.common import NOTICE
from worker.contract.schemas import MEMBERS

MEBIBYTE = 1 << 20
METRICS_PORT = 9145  # of the gate inside its container
METRICS_IN_CONTAINER = (f"0.0.0.0:{METRICS_PORT}",)
APART = ("cors_origins", "bodies_mb", "listen", "hosts")  # of [gateway], what is not simply in the object "access"
BODIES_PER_MB = 64  # bodies_mb, unless it is given, in sizes of the largest request; as nginx/gate/limits.py has it


def members(
    cluster: Cluster,
    plan: Plan,
    address: Mapping[str, str],
    names: Sequence[str] = (),
    metrics: Sequence[str] = (),
) -> str:
    """Return the gate's members.json: every pool with its workers, the default model first; `address` is by worker.

    `names` are this machine's own; at the addresses `metrics` the gate serves those, besides to Nginx.
    """
    pools = [
        {
            "model": model.name,
            "members": [
                {
                    "worker": worker.name,
                    "server": worker.slot.server,
                    "slot": worker.slot.name,
                    "address": address[worker.name],
                }
                for worker in plan.workers
                if worker.model == model.name
            ],
        }
        for model in cluster.models
    ]
    return members_document(cluster, pools, names, metrics)


def members_document(
    cluster: Cluster, pools: Sequence[Mapping[str, object]], names: Sequence[str] = (), metrics: Sequence[str] = ()
) -> str:
    """Return members.json with `pools`; `names` and `metrics` are as in `members`."""
    options = gateway_options(cluster, names, metrics)
    return json.dumps({"rendered": NOTICE, "schema": MEMBERS, "gateway": options, "pools": pools}, indent=1) + "\n"


def _check_hosts(cluster: Cluster) -> str:
    """Return where the gateway checks host names; nginx/gate/clients.py has the words.

    With TLS a page of another site has no certificate for its name, so the check is needed for HTTP alone.
    """
    everywhere = cluster.gateway.hosts or cluster.is_local
    return "everywhere" if everywhere else "nowhere" if cluster.tls.enabled else "loopback"


def metrics_addresses(cluster: Cluster, ipv6: bool) -> list[str]:
    """Return where the gate serves its metrics on the machine's own network; `ipv6` tells whether that has IPv6."""
    port, everywhere = cluster.metrics.port, ["0.0.0.0", *(["::"] if ipv6 else [])]  # noqa: S104 - where one asks for it
    hosts = [f"[{one}]" if ":" in one else one for one in cluster.metrics.listen or everywhere]
    return [f"{host}:{port}" for host in hosts] if port else []


def gateway_options(cluster: Cluster, names: Sequence[str] = (), metrics: Sequence[str] = ()) -> dict[str, object]:
    """Return what members.json tells the gate of the gateway itself; nginx/gate/options.py reads it.

    `names` are this machine's own; at the addresses `metrics` the gate serves those.
    """
    gateway = cluster.gateway
    return {
        "max_body_mb": cluster.settings["max_body_mb"],
        "cors_origins": gateway.cors_origins,
        "bodies_mb": gateway.bodies_mb,
        "clients": asdict(cluster.clients),
        "metrics": {"listen": list(metrics), "target_ms": cluster.metrics.target_ms},
        "access": {
            "hosts": [*gateway.hosts, *(name for name in names if name not in gateway.hosts)],
            "check_hosts": _check_hosts(cluster),
            **{name: value for name, value in asdict(gateway).items() if name not in APART},
        },
        **({"tls": {"hsts_days": cluster.tls.hsts_days}} if cluster.tls.enabled else {}),
        **(asdict(cluster.access) if cluster.access.keys else {}),
    }


def gateway_bytes(cluster: Cluster) -> tuple[int, int]:
    """Return the sizes of the gateway container's tmp/ and of its memory, which includes it.

    Bodies over 1 MB are five eighths of all (nginx/gate/limits.py); answers that wait for their client lie there, too.
    """
    bodies = (cluster.gateway.bodies_mb or BODIES_PER_MB * cluster.settings["max_body_mb"]) * MEBIBYTE
    return bodies * 5 // 8 + 256 * MEBIBYTE, bodies + 1024 * MEBIBYTE


def listen_directive(port: int, ipv6: bool, tls: bool = False, listen: Sequence[str] = ()) -> str:
    """Return Nginx's listen directives: for the addresses `listen`, or else for all; with `tls` for HTTPS.

    `ipv6` tells whether the machine has IPv6.
    """
    addresses = [f"[{one}]:{port}" if ":" in one else f"{one}:{port}" for one in listen]
    addresses = addresses or [f"{port}", *([f"[::]:{port}"] if ipv6 else [])]
    return f"# {NOTICE}\n" + "".join(f"listen {address}{' ssl' if tls else ''};\n" for address in addresses)


def listen_ports(text: str) -> set[int]:
    """Return the ports in what `listen_directive` returned."""
    return set(map(int, re.findall(r"^listen (?:.*:)?(\d+)(?: ssl)?;$", text, re.MULTILINE)))
