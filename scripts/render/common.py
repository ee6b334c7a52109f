"""Render a plan as the lists that the gate, Nginx and supervisord read: pure functions, tested as exact text."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster, Model
from scripts.cluster.plan import Plan, Worker
from worker.contract.cpu_list import format_cpu_list
from worker.contract.settings import SETTINGS, to_env

NOTICE = "Rendered from compose/cluster.toml by scripts/render; changes here are lost at the next `make up`."
MEGABYTE = 10**6
MEBIBYTE = 1 << 20
BODIES_PER_MB = 64  # bodies_mb, unless it is given, in sizes of the largest request; as nginx/gate/limits.py has it
# supervisord has no escapes inside quotes, and takes the rest of a line after " ;" or " #" for a comment.
UNQUOTABLE = re.compile(r"""["'\\\n]|\s([;#]|$)""")


def addresses(cluster: Cluster, plan: Plan, ports: Mapping[str, int]) -> dict[str, str]:
    """Return each worker's address, HOST:PORT, by worker name; workers share their server's network."""
    hosts = {server.name: server.address for server in cluster.servers}
    return {worker.name: f"{hosts[worker.slot.server]}:{ports[worker.name]}" for worker in plan.workers}


def members(cluster: Cluster, plan: Plan, address: Mapping[str, str], names: Sequence[str] = ()) -> str:
    """Return the gate's members.json: every pool with its workers, the default model first; `address` is by worker.

    `names` are this machine's own.
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
    return json.dumps({"rendered": NOTICE, "gateway": gateway_options(cluster, names), "pools": pools}, indent=1) + "\n"


def _check_hosts(cluster: Cluster) -> str:
    """Return where the gateway checks host names; nginx/gate/clients.py has the words.

    With TLS a page of another site has no certificate for its name, so the check is needed for HTTP alone.
    """
    return "everywhere" if cluster.hosts or cluster.is_local else "nowhere" if cluster.tls.enabled else "loopback"


def gateway_options(cluster: Cluster, names: Sequence[str] = ()) -> dict[str, object]:
    """Return what members.json tells the gate of the gateway itself; nginx/gate/options.py reads it.

    `names` are this machine's own.
    """
    tls = {"tls": {"hsts_days": cluster.tls.hsts_days}} if cluster.tls.enabled else {}
    keys = {"keys": True, "admin_from": list(cluster.admin_from)} if cluster.keys else {}
    return {
        "max_body_mb": cluster.settings["max_body_mb"],
        "cors_origins": list(cluster.cors_origins),
        "bodies_mb": cluster.bodies_mb,
        "clients": asdict(cluster.clients),
        "access": {
            "hosts": [*cluster.hosts, *(name for name in names if name not in cluster.hosts)],
            "check_hosts": _check_hosts(cluster),
            "trusted_proxies": list(cluster.trusted_proxies),
            "anonymise": cluster.anonymise,
        },
        **tls,
        **keys,
    }


def gateway_bytes(cluster: Cluster) -> tuple[int, int]:
    """Return the sizes of the gateway container's tmp/ and of its memory, which includes it.

    Bodies over 1 MB are five eighths of all (nginx/gate/limits.py); answers that wait for their client lie there, too.
    """
    bodies = (cluster.bodies_mb or BODIES_PER_MB * cluster.settings["max_body_mb"]) * MEBIBYTE
    return bodies * 5 // 8 + 256 * MEBIBYTE, bodies + 1024 * MEBIBYTE


def listen_directive(port: int, ipv6: bool, tls: bool = False, listen: Sequence[str] = ()) -> str:
    """Return Nginx's listen directives: for the addresses `listen`, or else for all; with `tls` for HTTPS.

    `ipv6` tells whether the machine has IPv6.
    """
    addresses = [f"[{one}]:{port}" if ":" in one else f"{one}:{port}" for one in listen]
    addresses = addresses or [f"{port}", *([f"[::]:{port}"] if ipv6 else [])]
    return f"# {NOTICE}\n" + "".join(f"listen {address}{' ssl' if tls else ''};\n" for address in addresses)


def worker_environment(cluster: Cluster, worker: Worker, bind: str, folder: str | None = None) -> dict[str, str]:
    """Return the WANWU_* variables of a worker that listens at `bind`; `folder` overrides the model folder's path."""
    model = model_of(cluster, worker)
    return to_env(
        model=model.name,
        model_dir=folder or model.folder,
        worker=worker.name,
        slot=worker.slot.name,
        cpus=format_cpu_list(worker.slot.cpus),
        gpu=worker.slot.gpu or "",
        bind=bind,
        **cluster.settings,
    )


def programs(
    cluster: Cluster,
    plan: Plan,
    ports: Mapping[str, int],
    command: Mapping[str, Sequence[str | Path]],
    memory: Mapping[str, int],
    root: Path,
) -> str:
    """Return supervisord's programs, one for each worker; `ports` are by worker, `command` lines by model.

    `memory` are the limits of workers in bytes, by model; a GPU worker has none, for its driver reserves much.

    Raise CommandError if a path cannot be written in supervisord's configuration.
    """
    paths = {root, *(model.folder for model in cluster.models), *(Path(parts[0]) for parts in command.values())}
    if faults := [fault for path in sorted(paths) for fault in path_faults(path)]:
        raise CommandError(*faults)
    sections = [f"; {NOTICE}\n"]
    for worker in plan.workers:
        environment = worker_environment(cluster, worker, f"127.0.0.1:{ports[worker.name]}")
        if not worker.slot.gpu:
            environment |= to_env(memory_mb=memory[worker.model] // MEGABYTE)
        variables = ",".join(f'{name}="{_escape(value)}"' for name, value in environment.items())
        sections.append(
            f"[program:{worker.name}]\n"
            f"command={' '.join(_quote(part) for part in command[worker.model])}\n"
            f"directory={_escape(str(root))}\n"
            f'environment={variables},{SETTINGS["cache"].variable}="%(here)s/../cache"\n'
            f"stdout_logfile=%(here)s/../logs/{worker.name}.log\n"
            "stdout_logfile_maxbytes=20MB\n"
            "stdout_logfile_backups=4\n"
            "redirect_stderr=true\n"
            "autorestart=true\n"
            "startretries=1000000\n"
            f"stopwaitsecs={stop_timeout_s(cluster)}\n"
            "killasgroup=true\n"
            "priority=100\n"
        )
    return "\n".join(sections)


def stop_timeout_s(cluster: Cluster) -> int:
    """Return the seconds in which a worker must stop: it drains, then answers the requests in flight."""
    return int(cluster.settings["drain_s"]) + int(cluster.settings["deadline_s"]) + 5


def model_of(cluster: Cluster, worker: Worker) -> Model:
    return next(model for model in cluster.models if model.name == worker.model)


def path_faults(path: Path) -> list[str]:
    """Return a fault if `path` cannot be written in supervisord's configuration."""
    if not UNQUOTABLE.search(str(path)):
        return []
    return [
        f"{path}: needed a path without quotes, backslashes, line breaks, trailing spaces, and spaces before ; or #"
    ]


def _escape(text: str) -> str:
    """Return `text` with % doubled, since supervisord expands %(name)s."""
    return text.replace("%", "%%")


def _quote(part: str | Path) -> str:
    return f"'{_escape(str(part))}'"
