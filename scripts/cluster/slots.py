"""This server's slots as /etc/wanwu/slots.json, which pins the workers of a swarm to them.

`plan.py` computes them, so a slot is the same under every runtime. The file also records what cluster.toml requested:
init-server.sh labels the Docker engine with it, so `make up` notices when cluster.toml has changed since.
"""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster
from scripts.cluster.cores import best_cores
from scripts.cluster.hardware import Hardware, read_hardware
from scripts.cluster.models import read_models
from scripts.cluster.plan import server_slots
from scripts.cluster.schema import SCHEMA, Server
from worker.contract.cpu_list import format_cpu_list

NAME = SCHEMA["servers"]["name"]


def print_slots(cluster: Cluster, name: str, gpus: bool) -> None:
    """Print slots.json of the server `name` on this machine's hardware, without its GPUs unless `gpus`.

    An empty `name` is this host's. Raise CommandError if the hardware cannot provide what cluster.toml requests.
    """
    hardware, name = read_hardware(), name or os.uname().nodename.partition(".")[0]
    say(render(cluster, name, hardware if gpus else replace(hardware, gpus=()), measured_cores(cluster)))


def render(cluster: Cluster, name: str, hardware: Hardware, cores: int | None) -> str:
    """Return slots.json as text; `cores` is the number of cores for each worker that was measured best.

    Raise CommandError if the hardware cannot provide what cluster.toml requests.
    """
    server = find_server(cluster, name)
    slots = server_slots(server, {name: hardware}, len(cluster.models), cores)
    table = {slot.name: {"cpus": format_cpu_list(slot.cpus), "gpu": slot.gpu or ""} for slot in slots}
    return json.dumps({"server": name, "asked": requested_settings(server), "slots": table}, indent=1)


def requested_settings(server: Server) -> dict[str, Any]:
    """Return the server's keys that decide its slots, as cluster.toml states them, without those that are "auto"."""
    values = {
        "gpus": _as_toml(server.gpus, list),
        "cpus": _as_toml(server.cpus, format_cpu_list),
        "workers": server.workers,
        "cores_per_worker": server.cores_per_worker,
    }
    return {key: value for key, value in values.items() if value is not None}


def _as_toml(values: tuple[Any, ...] | None, convert: Callable[[tuple[Any, ...]], Any]) -> Any:
    return "none" if values == () else values and convert(values)


def find_server(cluster: Cluster, name: str) -> Server:
    """Return the server `name` of cluster.toml, or one with all defaults if the file has none of that name.

    Raise CommandError if `name` is not a valid server name.
    """
    try:
        NAME.read(name)
    except ValueError:
        raise CommandError(f"--server: found {name!r}, needed {NAME.needed}") from None
    default = Server(name, "", None, None, None, None)
    return next((server for server in cluster.servers if server.name == name), default)


def measured_cores(cluster: Cluster) -> int | None:
    """Return the best number of cores for a CPU worker; None if a model is missing here or was not measured."""
    try:
        models = read_models(cluster)
    except CommandError:
        return None
    return best_cores(cluster.profile, [(model.share, models[model.name].scaling) for model in cluster.models])
