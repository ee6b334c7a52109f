"""Read and check `compose/cluster.toml`; report all its faults at once, each with its path, value and remedy.

schema.py declares its keys.
"""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from scripts.base.errors import CommandError
from scripts.cluster.schema import ACCESS, CLIENTS, GATEWAY, METRICS, REQUIRED, SCHEMA, SWARM, TLS
from worker.contract.limits import queue_fault
from worker.contract.schemas import CLUSTER, schema_fault
from worker.contract.settings import LIMITS_TABLE, SETTINGS
from worker.contract.toml_reader import parse_toml

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
    encrypted: bool = False  # whether what gateways and workers say to each other is
    autolock: bool = False  # False: as the swarm has it
    mtu: int | None = None  # None: as Docker chooses
    addresses: str | None = None  # the same


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
    faults = _unknown_keys(document, [*SCHEMA[""], *filter(None, SCHEMA)], "")
    top = _read({name: document[name] for name in SCHEMA[""] if name in document}, "", "", faults)
    limits = _read(document.get(LIMITS_TABLE, {}), LIMITS_TABLE, LIMITS_TABLE, faults)
    gateway = _read(document.get(GATEWAY, {}), GATEWAY, GATEWAY, faults)
    access = _read(document.get(ACCESS, {}), ACCESS, ACCESS, faults)
    clients = _read(document.get(CLIENTS, {}), CLIENTS, CLIENTS, faults)
    tls = _read(document.get(TLS, {}), TLS, TLS, faults)
    swarm = _read(document.get(SWARM, {}), SWARM, SWARM, faults)
    metrics = _read(document.get(METRICS, {}), METRICS, METRICS, faults)
    models = _read_all(document.get("models", []), "models", faults)
    servers = _read_all(document.get("servers", [{}]), "servers", faults)

    if fault := queue_fault(limits):
        faults.append(f"{LIMITS_TABLE}/max_images: {fault}")
    most, size = gateway.get("bodies_mb"), limits.get("max_body_mb", 0)
    if most is not None and most < MIN_BODIES * size:
        faults.append(
            f"{GATEWAY}/bodies_mb: found {most}, needed at least {MIN_BODIES * size}, {MIN_BODIES} times max_body_mb"
        )
    faults += _duplicates(models, "models", "name") + _duplicates(servers, "servers", "name")
    faults += _duplicates(servers, "servers", "address")
    if servers and not any(server.get("gateway", True) for server in servers):
        faults.append("servers: found gateway = false on every server, needed a gateway on at least one")
    for index, server in enumerate(servers):
        faults += [f"servers/{index}/{fault}" for fault in _contradictions(server)]
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


def _read_all(tables: object, section: str, faults: list[str]) -> list[dict[str, Any]]:
    if not isinstance(tables, list) or not tables:
        faults.append(f"{section}: found {_format(tables)}, needed one or more [[{section}]] tables")
        return []
    return [_read(table, section, f"{section}/{index}", faults) for index, table in enumerate(tables)]


def _read(table: object, section: str, path: str, faults: list[str]) -> dict[str, Any]:
    """Return the valid values of one table by key; append a fault to `faults` for each of the others."""
    if not isinstance(table, dict):
        faults.append(f"{path}: found {_format(table)}, needed a table")
        return {}
    faults += _unknown_keys(table, list(SCHEMA[section]), path)
    values = {}
    for name, key in SCHEMA[section].items():
        value = table.get(name, key.default)
        try:
            values[name] = key.read(value)
        except ValueError:
            formatted = "nothing" if value is REQUIRED else _format(value)
            faults.append(f"{_join(path, name)}: found {formatted}, needed {key.needed}")
    return values


def _unknown_keys(table: Mapping[str, object], known: list[str], path: str) -> list[str]:
    faults = []
    for name in sorted(table.keys() - set(known)):
        nearest = get_close_matches(name, known, 1)
        remedy = f'did you mean "{nearest[0]}"?' if nearest else f"the keys here are {', '.join(known)}"
        faults.append(f"{_join(path, name)}: unknown key, {remedy}")
    return faults


def _duplicates(tables: list[dict[str, Any]], section: str, name: str) -> list[str]:
    first: dict[str, int] = {}
    return [
        f"{section}/{index}/{name}: found {_format(table[name])}, already used by {section}/{owner},"
        f" needed a different {name}"
        for index, table in enumerate(tables)
        if name in table and (owner := first.setdefault(table[name], index)) != index
    ]


def _contradictions(server: Mapping[str, Any]) -> list[str]:
    if server.get("cpus") != ():
        return []
    faults = [
        f'{name}: found {server[name]} together with cpus = "none", needed "auto": a CPU worker needs CPUs'
        for name in ("workers", "cores_per_worker")
        if server.get(name) is not None
    ]
    if server.get("gpus") == ():
        faults.append('gpus: found "none" together with cpus = "none", needed GPUs or CPUs to run workers on')
    return faults


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _format(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."
