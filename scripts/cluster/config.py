"""Read and check `compose/cluster.toml`; report all its faults at once, each with its path, value and remedy.

schema.py declares its keys, tables.py reads them.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.base.errors import CommandError
from scripts.cluster.schema import ACCESS, CLIENTS, GATEWAY, METRICS, SCHEMA, SWARM, TLS
from scripts.cluster.tables import contradictions, duplicates, read_all, read_table, unknown_keys
from worker.contract.limits import queue_fault
from worker.contract.schemas import CLUSTER, schema_fault
from worker.contract.settings import LIMITS_TABLE, SETTINGS
from worker.contract.toml_reader import parse_toml

TABLES = (LIMITS_TABLE, GATEWAY, ACCESS, CLIENTS, TLS, SWARM, METRICS)
MIN_BODIES = 4  # a quarter of the gateway's memory for bodies is for the largest
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Model:
    name: str
    folder: Path  # absolute
    share: int  # weight of this model when slots are divided among the models


@dataclass(frozen=True)
class Server:
    """A `[[servers]]` table: None means "auto", an empty tuple means "none"."""

    name: str
    address: str
    gpus: tuple[str, ...] | None
    cpus: tuple[int, ...] | None
    workers: int | None
    cores_per_worker: int | None
    gateway: bool = True  # whether a gateway runs here, if there are several servers


@dataclass(frozen=True)
class Clients:
    """The `[clients]` table: what one client may do; 0 or None: as nginx/gate/limits.py has it."""

    connections: int = 256
    requests_s: int = 0
    burst: int = 100
    bodies_mb: int | None = None


@dataclass(frozen=True)
class Tls:
    """The `[tls]` table; the paths are absolute."""

    enabled: bool = False
    certificate: Path = Path()
    key: Path = Path()
    hsts_days: int = 0  # 0: browsers may go on asking over HTTP


@dataclass(frozen=True)
class Swarm:
    """The `[swarm]` table."""

    managers: int | None = None  # None: three where there are three servers or more
    encrypted: bool = False  # whether traffic between gateways and workers is encrypted
    autolock: bool = False  # False: as the swarm has it
    mtu: int | None = None  # None: as Docker chooses
    addresses: str | None = None  # None: as Docker chooses


@dataclass(frozen=True)
class Metrics:
    """The `[metrics]` table; port 0: the metrics have none of their own."""

    port: int = 0
    listen: tuple[str, ...] = ("127.0.0.1",)  # addresses of this machine; (): every one
    target_ms: int = 1000
    prometheus_port: int = 9090
    grafana_port: int = 3000
    retention_mb: int = 2048


@dataclass(frozen=True)
class Cluster:
    source: str  # the file's name, for error messages
    port: int
    profile: str
    settings: Mapping[str, Any]  # every worker setting that has a key in the file, by name
    models: tuple[Model, ...]
    servers: tuple[Server, ...]
    tls: Tls = Tls()
    swarm: Swarm = Swarm()
    clients: Clients = Clients()
    metrics: Metrics = Metrics()
    cors_origins: tuple[str, ...] = ()  # whose web pages may ask; ("*",): everyone's
    keys: bool = False  # whether a request needs one
    admin_from: tuple[str, ...] = ()  # networks from which an admin's request needs none
    bodies_mb: int | None = None  # MiB of all bodies at the gateway; None: as nginx/gate/limits.py has it
    listen: tuple[str, ...] = ()  # addresses of this machine; (): every one
    hosts: tuple[str, ...] = ()  # names under which browsers may ask, besides private ones
    trusted_proxies: tuple[str, ...] = ()  # networks whose X-Forwarded-For is believed
    anonymise: bool = False  # whether the log has no whole address of a client

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
        addresses = [ipaddress.ip_address(address) for address in self.listen]
        if not addresses or any(one.version == 4 and (one.is_unspecified or one.is_loopback) for one in addresses):
            return self.url("127.0.0.1")
        first = "::1" if addresses[0].is_unspecified else str(addresses[0])
        return self.url(f"[{first}]" if ":" in first else first)

    @property
    def is_local(self) -> bool:
        """Return whether only this machine reaches the gateway."""
        return bool(self.listen) and all(ipaddress.ip_address(address).is_loopback for address in self.listen)

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
    tables = {name: read_table(document.get(name, {}), name, name, faults) for name in TABLES}
    limits, gateway, access, clients, tls, swarm, metrics = tables.values()
    models = read_all(document.get("models", []), "models", faults)
    servers = read_all(document.get("servers", [{}]), "servers", faults)
    faults += [*_limit_faults(limits, gateway), *_port_faults(top, metrics), *_list_faults(models, servers)]
    if faults:
        raise CommandError(*(f"{source}: {fault}" for fault in faults))
    folder = (ROOT / source).parent
    return Cluster(
        source,
        top["port"],
        top["profile"],
        {name: value for name, value in (top | limits).items() if name in SETTINGS},
        tuple(Model(**model | {"folder": ROOT / model["folder"]}) for model in models),
        tuple(Server(**server) for server in servers),
        Tls(**tls | {name: folder / tls[name] for name in ("certificate", "key")}),
        Swarm(**swarm),
        Clients(**clients),
        Metrics(**metrics),
        **gateway,
        **access,
    )


def _limit_faults(limits: Mapping[str, Any], gateway: Mapping[str, Any]) -> Iterator[str]:
    """Yield a fault for each limit that another one rules out."""
    if fault := queue_fault(limits):
        yield f"{LIMITS_TABLE}/max_images: {fault}"
    most, least = gateway.get("bodies_mb"), MIN_BODIES * limits.get("max_body_mb", 0)
    if most is not None and most < least:
        yield f"{GATEWAY}/bodies_mb: found {most}, needed at least {least}, {MIN_BODIES} times max_body_mb"


def _port_faults(top: Mapping[str, Any], metrics: Mapping[str, Any]) -> Iterator[str]:
    """Yield a fault if clients and Prometheus would ask at one port."""
    if (port := metrics.get("port")) and port == top.get("port"):
        yield f"{METRICS}/port: found {port}, the gateway's port, needed another: clients would get one or the other"


def _list_faults(models: list[dict[str, Any]], servers: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the faults between the tables of a list, and those within a server's."""
    yield from duplicates(models, "models", "name")
    yield from duplicates(servers, "servers", "name")
    yield from duplicates(servers, "servers", "address")
    if servers and not any(server.get("gateway", True) for server in servers):
        yield "servers: found gateway = false on every server, needed a gateway on at least one"
    for index, server in enumerate(servers):
        yield from (f"servers/{index}/{fault}" for fault in contradictions(server))
