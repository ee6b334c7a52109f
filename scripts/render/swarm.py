"""From a plan to what Docker Swarm reads: pure, and tested as exact text."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from scripts.cluster.config import Cluster, Model
from scripts.render.common import NOTICE, patience_s
from worker.contract.settings import EXIT, to_env
from worker.contract.swarm_slot import SLOTS

PORT = 8000  # of every worker, inside its own container
VOLUME = "/models"  # where a worker's container has the model volume
CACHE = "/cache"
SERVES = "wanwu.serves"  # label of a node that gets workers
MONITOR = "10s"  # how long Swarm watches a change after its last task before it calls it done
SERVICE_NAME = 40  # characters of a model's name that its service keeps; Swarm allows 63 for all


@dataclass(frozen=True)
class Pool:
    """What one model's service is made of: `memory` in bytes, `volume` the id of the volume its folder lies on."""

    replicas: int
    image: str
    memory: int
    volume: str
    gpus: bool


def service_name(model: str) -> str:
    """What Swarm calls a model's service: a model may have characters in its name that no host name has."""
    fitting = re.sub(r"[^a-z0-9]+", "-", model)[:SERVICE_NAME].strip("-")
    return fitting if fitting == model else f"{fitting}-{hashlib.sha256(model.encode()).hexdigest()[:6]}"


def members(cluster: Cluster, stack: str) -> str:
    """The gate's members.json: every pool by the name that leads to the tasks of its service."""
    pools = [
        {"model": model.name, "discover": f"tasks.{stack}_{service_name(model.name)}:{PORT}"}
        for model in cluster.models
    ]
    return json.dumps({"rendered": NOTICE, "pools": pools}, indent=1) + "\n"


def environment(
    cluster: Cluster, gateway_image: str, members_file: str, members_text: str, monitor: str = MONITOR
) -> dict[str, str]:
    """Return the variables of stack.yaml."""
    return {
        "WANWU_PORT": str(cluster.port),
        "WANWU_GATEWAY_IMAGE": gateway_image,
        "WANWU_MEMBERS": members_file,
        "WANWU_MONITOR": monitor,
        "WANWU_MEMBERS_NAME": f"wanwu-members-{hashlib.sha256(members_text.encode()).hexdigest()[:12]}",
    }


def workers(cluster: Cluster, pools: Mapping[str, Pool], offline: Mapping[str, str], monitor: str = MONITOR) -> str:
    """The list of worker services, one a model; `pools` are by model, `offline` the variables of offline.env."""
    services = {
        service_name(model.name): _service(cluster, model, pools[model.name], offline, monitor)
        for model in cluster.models
    }
    # A dollar sign would be taken for a variable.
    text = json.dumps({"version": "3.13", "services": services}, indent=1).replace("$", "$$")
    return f"# {NOTICE}\n{text}\n"


def _service(cluster: Cluster, model: Model, pool: Pool, offline: Mapping[str, str], monitor: str) -> dict[str, object]:
    return {
        "image": pool.image,
        "networks": ["workers"],
        "environment": _environment(cluster, model, pool, offline),
        "volumes": [
            {"type": "bind", "source": str(model.folder.parent), "target": VOLUME, "read_only": True},
            {"type": "bind", "source": SLOTS, "target": SLOTS, "read_only": True},
            # What can be made again outlives a container: compiled networks, texts that were embedded.
            {"type": "volume", "source": "cache", "target": CACHE},
            {"type": "tmpfs", "target": "/tmp"},  # noqa: S108 - the container's own
        ],
        "read_only": True,
        "cap_drop": ["ALL"],
        "init": True,
        "stop_grace_period": f"{patience_s(cluster)}s",
        "logging": {"driver": "json-file", "options": {"max-size": "50m", "max-file": "5"}},
        "deploy": _deploy(pool, monitor),
    }


def _environment(cluster: Cluster, model: Model, pool: Pool, offline: Mapping[str, str]) -> dict[str, str]:
    """What every task of the service is told; the rest it learns from the slot that Swarm gives it."""
    return {
        **offline,
        **from_volume(cluster, model),
        **to_env(volume_id=pool.volume),
        # Swarm gives a task no GPU; the worker sees all, and uses its slot's alone.
        **({"NVIDIA_VISIBLE_DEVICES": "all"} if pool.gpus else {}),
    }


def from_volume(cluster: Cluster, model: Model) -> dict[str, str]:
    """Return the settings of every container that serves `model` from the model volume, by variable."""
    return to_env(
        model=model.name,
        model_dir=f"{VOLUME}/{model.folder.name}",
        bind=f"0.0.0.0:{PORT}",
        cache=CACHE,
        volume=VOLUME,
        # An update is rolled back when its workers end, not when they keep running and say what is wrong.
        on_load_error=EXIT,
        **cluster.settings,
    )


def _deploy(pool: Pool, monitor: str) -> dict[str, object]:
    # A slot has room for one: the old worker leaves before the new one comes. An update goes on when the new one is
    # healthy, which is what its /readyz calls ready, and counts one that ends before as failed, however long it took.
    change = {"parallelism": 1, "order": "stop-first", "monitor": monitor}
    slot = {"discrete_resource_spec": {"kind": "slot", "value": 1}}
    return {
        "replicas": pool.replicas,
        "endpoint_mode": "dnsrr",
        "placement": {"constraints": [f"node.labels.{SERVES} == true"], "preferences": [{"spread": "node.id"}]},
        "update_config": {**change, "failure_action": "rollback"},
        "rollback_config": {**change, "failure_action": "pause"},
        "restart_policy": {"condition": "any", "delay": "2s"},
        "resources": {
            "limits": {"memory": str(pool.memory), "pids": 1024},
            "reservations": {"generic_resources": [slot]},
        },
    }
