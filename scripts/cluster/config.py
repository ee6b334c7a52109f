"""Read and check `compose/cluster.toml`; report all its faults at once, each with its path, value and remedy.

schema.py declares its keys, tables.py reads them.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.base.errors import CommandError
from scripts.cluster.schema import (
    SCHEMA,
    TABLES,
    Access,
    Clients,
    Gateway,
    Metrics,
    Model,
    Server,
    Swarm,
    Tls,
    Top,
)
from scripts.cluster.tables import contradictions, duplicates, read_all, read_table, unknown_keys
from worker.contract.limits import queue_fault
from worker.contract.schemas import CLUSTER, schema_fault
from worker.contract.settings import LIMITS_TABLE, SETTINGS
from worker.contract.toml_parser import parse_toml

MIN_BODIES = 4  # a quarter of the gateway's memory for bodies is for the largest
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Cluster(Top):
    """What the file says."""

    source: str  # the file's name, for error messages
    settings: Mapping[str, Any]  # every worker setting that has a key in the file, by name
    models: tuple[Model, ...]
    servers: tuple[Server, ...]
    gateway: Gateway
    clients: Clients
    tls: Tls
    access: Access
    swarm: Swarm
    metrics: Metrics

    @property
    def engine(self) -> str:
        return str(self.settings["engine"])

    @property
    def folder(self) -> Path:
        """Return the folder of the file: the site's secrets lie there, and the paths of `[tls]` are relative to it."""
        return (ROOT / self.source).parent

    @property
    def endpoint(self) -> str:
        """Return the gateway's address on this machine."""
        addresses = [ipaddress.ip_address(address) for address in self.gateway.listen]
        if not addresses or any(one.version == 4 and (one.is_unspecified or one.is_loopback) for one in addresses):
            return self.url("127.0.0.1")
        first = "::1" if addresses[0].is_unspecified else str(addresses[0])
        return self.url(f"[{first}]" if ":" in first else first)

    @property
    def is_local(self) -> bool:
        """Return whether only this machine reaches the gateway."""
        listen = self.gateway.listen
        return bool(listen) and all(ipaddress.ip_address(address).is_loopback for address in listen)

    def url(self, host: str) -> str:
        """Return the gateway's address at `host`, a name or an IP address."""
        return f"{'https' if self.tls.enabled else 'http'}://{host}:{self.port}"


def load_cluster(path: Path) -> Cluster:
    """Return the cluster that the file at `path` describes; raise CommandError with a line for every fault."""
    path = path.resolve() if path.is_symlink() else path  # on a server, a link to /etc/wanwu/cluster.toml
    source = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
    try:
        return parse_cluster(path.read_text(encoding="utf-8"), source)
    except OSError as error:
        raise CommandError(f"{source}: {error.strerror}: needed a file like the one in the repository") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{source}: byte {error.start} is not UTF-8: save the file as UTF-8") from error


def parse_cluster(text: str, source: str) -> Cluster:
    """Return the cluster that `text` describes; raise CommandError with a line for every fault.

    Each line begins with `source`, the name of the file.
    """
    try:
        document = parse_toml(text)
    except ValueError as error:
        raise CommandError(f"{source}: {error}: correct it there") from error
    if fault := schema_fault(document.get("schema", 1), CLUSTER):
        raise CommandError(f"{source}: {fault}")
    faults = unknown_keys(document, [*SCHEMA[""], *filter(None, SCHEMA)], "")
    top = read_table({name: document[name] for name in SCHEMA[""] if name in document}, "", "", faults)
    tables = {name: read_table(document.get(name, {}), name, name, faults) for name in (LIMITS_TABLE, *TABLES)}
    models = read_all(document.get("models", []), "models", faults)
    servers = read_all(document.get("servers", [{}]), "servers", faults)
    faults += [*_limit_faults(tables), *_port_faults(top, tables["metrics"]), *_list_faults(models, servers)]
    if faults:
        raise CommandError(*(f"{source}: {fault}" for fault in faults))
    values, made = top | tables[LIMITS_TABLE], {name: table(**tables[name]) for name, table in TABLES.items()}
    made["tls"] = made["tls"].below((ROOT / source).parent)
    return Cluster(
        source=source,
        settings={name: values.pop(name) for name in SETTINGS if name in values},
        models=tuple(Model(**model | {"folder": ROOT / model["folder"]}) for model in models),
        servers=tuple(Server(**server) for server in servers),
        **values,
        **made,
    )


def _limit_faults(tables: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a fault for each limit that another one rules out."""
    limits = tables[LIMITS_TABLE]
    if fault := queue_fault(limits):
        yield f"{LIMITS_TABLE}/max_images: {fault}"
    most, least = tables["gateway"].get("bodies_mb"), MIN_BODIES * limits.get("max_body_mb", 0)
    if most is not None and most < least:
        yield f"gateway/bodies_mb: found {most}, needed at least {least}, {MIN_BODIES} times max_body_mb"


def _port_faults(top: Mapping[str, Any], metrics: Mapping[str, Any]) -> Iterator[str]:
    """Yield a fault if clients and Prometheus would ask at one port."""
    if (port := metrics.get("port")) and port == top.get("port"):
        yield f"metrics/port: found {port}, the gateway's port, needed another: clients would get one or the other"


def _list_faults(models: list[dict[str, Any]], servers: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the faults between the tables of a list, and those within a server's."""
    yield from duplicates(models, "models", "name")
    yield from duplicates(servers, "servers", "name")
    yield from duplicates(servers, "servers", "address")
    if servers and not any(server.get("gateway", True) for server in servers):
        yield "servers: found gateway = false on every server, needed a gateway on at least one"
    for index, server in enumerate(servers):
        yield from (f"servers/{index}/{fault}" for fault in contradictions(server))
