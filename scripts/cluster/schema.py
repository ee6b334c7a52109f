"""The keys of `cluster.toml`: a dataclass for each table, whose fields are its keys, each of a kind and with a default.

The comments in the file document them; a test compares the two.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts.cluster import kinds
from scripts.cluster.cores import PROFILES, THROUGHPUT
from scripts.cluster.kinds import REQUIRED, Key, declare, keys_of
from worker.contract.schemas import CLUSTER
from worker.contract.settings import LIMITS_TABLE, SETTINGS, TOP


@dataclass(frozen=True)
class Top:
    """The keys above all tables, but for the settings of the workers."""

    schema: int = declare(Key(" or ".join(map(str, range(1, CLUSTER + 1))), kinds.whole(1, CLUSTER).read), CLUSTER)
    port: int = declare(kinds.PORT, 8080)
    profile: str = declare(kinds.choice(PROFILES), THROUGHPUT)


@dataclass(frozen=True)
class Gateway:
    """The `[gateway]` table: what Nginx alone does."""

    cors_origins: tuple[str, ...] = declare(kinds.ORIGINS, [])  # whose web pages may ask; ("*",): everyone's
    bodies_mb: int | None = declare(kinds.AUTO_OR_COUNT, "auto")  # of all; None: as nginx/gate/limits.py has it
    listen: tuple[str, ...] = declare(kinds.ADDRESSES, [])  # addresses of this machine; (): every one
    hosts: tuple[str, ...] = declare(kinds.HOST_NAMES, [])  # names under which browsers may ask, besides private ones
    # Whose X-Forwarded-For is believed.
    trusted_proxies: tuple[str, ...] = declare(
        kinds.networks('a list of addresses and networks such as "10.0.0.0/8"'), []
    )
    anonymise: bool = declare(kinds.BOOLEAN, False)  # whether the log has no whole address of a client


@dataclass(frozen=True)
class Clients:
    """The `[clients]` table: what one client may do; 0 or None: as nginx/gate/limits.py has it."""

    connections: int = declare(kinds.whole(0, 65535), 256)
    requests_s: int = declare(kinds.whole(0, 100_000), 0)
    burst: int = declare(kinds.whole(0, 100_000), 100)
    bodies_mb: int | None = declare(kinds.AUTO_OR_COUNT, "auto")


@dataclass(frozen=True)
class Tls:
    """The `[tls]` table; in a Cluster the paths are absolute."""

    enabled: bool = declare(kinds.BOOLEAN, False)
    certificate: Path = declare(kinds.path("a PEM file"), "tls/server.crt")
    key: Path = declare(kinds.path("a PEM file"), "tls/server.key")
    hsts_days: int = declare(kinds.whole(0, 730, "a whole number of days"), 0)  # 0: browsers may go on asking over HTTP

    def below(self, folder: Path) -> "Tls":
        """Return the table with absolute paths, of which the others were relative to `folder`."""
        return replace(self, certificate=folder / self.certificate, key=folder / self.key)


@dataclass(frozen=True)
class Access:
    """The `[access]` table: who may ask."""

    keys: bool = declare(kinds.BOOLEAN, False)  # whether a request needs one
    # Networks from which an admin's request needs none.
    admin_from: tuple[str, ...] = declare(kinds.networks('a list of networks such as "10.1.2.0/24" or "::1"'), [])


@dataclass(frozen=True)
class Swarm:
    """The `[swarm]` table."""

    managers: int | None = declare(kinds.MANAGERS, "auto")  # None: three where there are three servers or more
    encrypted: bool = declare(kinds.BOOLEAN, False)  # whether traffic between gateways and workers is encrypted
    autolock: bool = declare(kinds.BOOLEAN, False)  # False: as the swarm has it
    mtu: int | None = declare(kinds.auto_or(kinds.whole(576, 65485)), "auto")  # None: as Docker chooses
    addresses: str | None = declare(kinds.auto_or(kinds.POOL), "auto")  # None: as Docker chooses


@dataclass(frozen=True)
class Metrics:
    """The `[metrics]` table; port 0: the metrics have none of their own."""

    port: int = declare(kinds.PORT_OR_0, 0)
    listen: tuple[str, ...] = declare(kinds.ADDRESSES, ["127.0.0.1"])  # addresses of this machine; (): every one
    target_ms: int = declare(kinds.whole(1, 60_000), 1000)
    prometheus_port: int = declare(kinds.PORT, 9090)
    grafana_port: int = declare(kinds.PORT, 3000)
    retention_mb: int = declare(kinds.whole(100), 2048)


@dataclass(frozen=True)
class Model:
    """A `[[models]]` table; in a Cluster the folder is absolute."""

    name: str = declare(
        kinds.text(
            'up to 63 lower-case letters, digits, ".", "_" or "-", the first a letter or digit',
            r"[a-z0-9][a-z0-9._-]{0,62}",
        )
    )
    folder: Path = declare(kinds.path("a model folder"))
    share: int = declare(kinds.whole(1), 1)  # weight of this model when slots are divided among the models


@dataclass(frozen=True)
class Server:
    """A `[[servers]]` table: None means "auto", an empty tuple means "none"."""

    name: str = declare(
        kinds.text('up to 31 lower-case letters, digits or "-", the first a letter', r"[a-z][a-z0-9-]{0,30}"), "this"
    )
    address: str = declare(kinds.HOST, "127.0.0.1")
    gpus: tuple[str, ...] | None = declare(kinds.GPUS, "auto")
    cpus: tuple[int, ...] | None = declare(kinds.CPUS, "auto")
    workers: int | None = declare(kinds.AUTO_OR_COUNT, "auto")
    cores_per_worker: int | None = declare(kinds.AUTO_OR_COUNT, "auto")
    gateway: bool = declare(kinds.BOOLEAN, True)  # whether a gateway runs here, if there are several servers


def _settings(table: str) -> dict[str, Key]:
    """Return the keys of the worker settings that belong to `table`, by name."""
    return {
        setting.name: Key(
            setting.needed, setting.from_toml, setting.parse(setting.default) if setting.default else REQUIRED
        )
        for setting in SETTINGS.values()
        if setting.table == table
    }


TABLES: dict[str, type[Any]] = {
    "gateway": Gateway, "clients": Clients, "tls": Tls, "access": Access, "swarm": Swarm, "metrics": Metrics,
}  # fmt: skip
SCHEMA: dict[str, dict[str, Key]] = {
    "": keys_of(Top) | _settings(TOP),
    LIMITS_TABLE: _settings(LIMITS_TABLE),
    **{name: keys_of(table) for name, table in TABLES.items()},
    "models": keys_of(Model),
    "servers": keys_of(Server),
}
