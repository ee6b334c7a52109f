"""This server's slots as /etc/wanwu/slots.json keeps them: what its workers in a swarm are pinned by.

The plan's own code makes them, so that a slot is the same whichever runtime serves on it. What the cluster's file asks
for is kept beside them: init-server.sh labels the engine with it, so that `make up` can tell when the file has changed.
"""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.cluster.config import SCHEMA, Cluster, Server
from scripts.cluster.cores import best
from scripts.cluster.hardware import Hardware, read_hardware
from scripts.cluster.models import read_models
from scripts.cluster.plan import server_slots
from worker.contract.cpu_list import format_cpu_list

NAME = SCHEMA["servers"]["name"]


def show(cluster: Cluster, name: str, gpus: bool) -> None:
    """Print the slots of the server `name`, "" being this host's own name, on its hardware; raises CommandError."""
    hardware, name = read_hardware(), name or os.uname().nodename.partition(".")[0]
    say(render(cluster, name, hardware if gpus else replace(hardware, gpus=()), measured_cores(cluster)))


def render(cluster: Cluster, name: str, hardware: Hardware, cores: int | None) -> str:
    """Return slots.json; `cores` of a worker were measured best.

    Raise CommandError for what the hardware cannot meet.
    """
    server = described(cluster, name)
    slots = server_slots(server, {name: hardware}, len(cluster.models), cores)
    table = {slot.name: {"cpus": format_cpu_list(slot.cpus), "gpu": slot.gpu or ""} for slot in slots}
    return json.dumps({"server": name, "asked": asked(server), "slots": table}, indent=1)


def asked(server: Server) -> dict[str, Any]:
    """Return the values that decide the server's slots, by key, as the file says them; without those left "auto"."""
    values = {
        "gpus": _said(server.gpus, list),
        "cpus": _said(server.cpus, format_cpu_list),
        "workers": server.workers,
        "cores_per_worker": server.cores_per_worker,
    }
    return {key: value for key, value in values.items() if value is not None}


def _said(values: tuple[Any, ...] | None, show: Callable[[tuple[Any, ...]], Any]) -> Any:
    return "none" if values == () else values and show(values)


def described(cluster: Cluster, name: str) -> Server:
    """The server as the cluster's file has it, or with every default where it is not in there yet.

    Raises CommandError for a name that the file could not say.
    """
    try:
        NAME.read(name)
    except ValueError:
        raise CommandError(f"--server: found {name!r}, needed {NAME.needed}") from None
    default = Server(name, "", None, None, None, None)
    return next((server for server in cluster.servers if server.name == name), default)


def measured_cores(cluster: Cluster) -> int | None:
    """How many cores a CPU worker serves best with; None where not all models are here, or were measured."""
    try:
        models = read_models(cluster)
    except CommandError:
        return None
    return best(cluster.profile, [(model.share, models[model.name].scaling) for model in cluster.models])
