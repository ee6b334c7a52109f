"""Render a plan as the lists that the gate, Nginx and supervisord read: pure functions, tested as exact text."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster, Model
from scripts.cluster.plan import Plan, Worker
from worker.contract.cpu_list import format_cpu_list
from worker.contract.schemas import MEMBERS
from worker.contract.settings import SETTINGS, to_env

NOTICE = "Rendered from compose/cluster.toml by scripts/render; changes here are lost at the next `make up`."
MEGABYTE = 10**6
MEBIBYTE = 1 << 20
METRICS_PORT = 9145  # of the gate inside its container
METRICS_IN_CONTAINER = (f"0.0.0.0:{METRICS_PORT}",)
BODIES_PER_MB = 64  # bodies_mb, unless it is given, in sizes of the largest request; as nginx/gate/limits.py has it
# supervisord has no escapes inside quotes, and takes the rest of a line after " ;" or " #" for a comment.
KEPT_LOGS = "stdout_logfile_maxbytes=20MB\nstdout_logfile_backups=4\n"
RESTARTED = "autorestart=true\nstartretries=1000000\n"  # for ever, and a second later each time
PROGRAM = re.compile(r"^\[program:(.+)\]$", re.MULTILINE)
UNQUOTABLE = re.compile(r"""["'\\\n]|\s([;#]|$)""")


def addresses(cluster: Cluster, plan: Plan, ports: Mapping[str, int]) -> dict[str, str]:
    """Return each worker's address, HOST:PORT, by worker name; workers share their server's network."""
    hosts = {server.name: server.address for server in cluster.servers}
    return {worker.name: f"{hosts[worker.slot.server]}:{ports[worker.name]}" for worker in plan.workers}


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
    return "everywhere" if cluster.hosts or cluster.is_local else "nowhere" if cluster.tls.enabled else "loopback"


def metrics_addresses(cluster: Cluster, ipv6: bool) -> list[str]:
    """Return where the gate serves its metrics on the machine's own network; `ipv6` tells whether that has IPv6."""
    port, everywhere = cluster.metrics.port, ["0.0.0.0", *(["::"] if ipv6 else [])]  # noqa: S104 - where one asks for it
    hosts = [f"[{one}]" if ":" in one else one for one in cluster.metrics.listen or everywhere]
    return [f"{host}:{port}" for host in hosts] if port else []


def gateway_options(cluster: Cluster, names: Sequence[str] = (), metrics: Sequence[str] = ()) -> dict[str, object]:
    """Return what members.json tells the gate of the gateway itself; nginx/gate/options.py reads it.

    `names` are this machine's own; at the addresses `metrics` the gate serves those.
    """
    tls = {"tls": {"hsts_days": cluster.tls.hsts_days}} if cluster.tls.enabled else {}
    keys = {"keys": True, "admin_from": list(cluster.admin_from)} if cluster.keys else {}
    return {
        "max_body_mb": cluster.settings["max_body_mb"],
        "cors_origins": list(cluster.cors_origins),
        "bodies_mb": cluster.bodies_mb,
        "clients": asdict(cluster.clients),
        "metrics": {"listen": list(metrics), "target_ms": cluster.metrics.target_ms},
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


def listen_ports(text: str) -> set[int]:
    """Return the ports in what `listen_directive` returned."""
    return set(map(int, re.findall(r"^listen (?:.*:)?(\d+)(?: ssl)?;$", text, re.MULTILINE)))


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
    revision: Mapping[str, str],
) -> str:
    """Return supervisord's programs, one for each worker; `ports` are by worker, `command` lines by model.

    `memory` are the limits of workers in bytes, by model; a GPU worker has none, for its driver reserves much.
    `revision` says by model which code and files its workers run.

    Raise CommandError if a path cannot be written in supervisord's configuration.
    """
    paths = {root, *(model.folder for model in cluster.models), *(Path(parts[0]) for parts in command.values())}
    if faults := [fault for path in sorted(paths) for fault in path_faults(path)]:
        raise CommandError(*faults)
    sections = []
    for worker in plan.workers:
        environment = worker_environment(cluster, worker, f"127.0.0.1:{ports[worker.name]}")
        if not worker.slot.gpu:
            environment |= to_env(memory_mb=memory[worker.model] // MEGABYTE)
        variables = ",".join(f'{name}="{_escape(value)}"' for name, value in environment.items())
        sections.append(
            f"[program:{worker.name}]\n"
            f"; {revision[worker.model]}\n"
            f"command={' '.join(_quote(part) for part in command[worker.model])}\n"
            f"directory={_escape(str(root))}\n"
            f'environment={variables},{SETTINGS["cache"].variable}="%(here)s/../cache"\n'
            f"stdout_logfile=%(here)s/../logs/{worker.name}.log\n"
            f"{KEPT_LOGS}"
            "redirect_stderr=true\n"
            f"{RESTARTED}"
            f"stopwaitsecs={stop_timeout_s(cluster)}\n"
            "killasgroup=true\n"
            "priority=100\n"
        )
    return joined_programs(sections)


def program_sections(text: str) -> dict[str, str]:
    """Return program name -> its section in what `programs` returned."""
    sections = re.split(r"(?m)^(?=\[program:)", text)
    return {name: f"{section.rstrip()}\n" for section in sections for name in PROGRAM.findall(section)}


def joined_programs(sections: Iterable[str]) -> str:
    """Return the text of which `program_sections` are the `sections`."""
    return "\n".join([f"; {NOTICE}\n", *sections])


def gate_programs(python: Path, root: Path, revision: str) -> str:
    """Return supervisord's programs of the gate of the kit in `root`; `revision` says which code it runs.

    HOME is the run directory.
    """
    gateway = "%(ENV_HOME)s/gateway"
    nginx = f"nginx -e stderr -p '{gateway}' -c nginx.conf"
    arguments = {
        "gate": f'run --members "{gateway}/rendered/members.json" --out "{gateway}/rendered" --nginx "{nginx}"',
        "gate-watch": f'watch --out "{gateway}/rendered"',  # ends a gate that hangs; it is then restarted
    }
    return joined_programs(
        f"[program:{name}]\n"
        f"directory={_escape(str(root / 'nginx'))}\n"
        f"command={_quote(python)} -m gate {options}\n"
        f'environment=REVISION="{revision}"\n'
        f"stdout_logfile=%(here)s/../logs/{name}.log\n"
        f"{KEPT_LOGS}"
        "redirect_stderr=true\n"
        f"{RESTARTED}"
        "priority=300\n"
        for name, options in arguments.items()
    )


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
