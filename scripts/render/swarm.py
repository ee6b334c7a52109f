"""Render the cluster's models as Docker Swarm's input: pure functions, tested as exact text."""

import hashlib
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from scripts.cluster.config import Cluster
from scripts.cluster.schema import Model
from scripts.render.common import NOTICE, stop_timeout_s
from scripts.render.gateway import METRICS_IN_CONTAINER, METRICS_PORT, gateway_bytes, members_document
from worker.contract.settings import EXIT, to_env
from worker.contract.swarm_slot import SLOTS_FILE

PORT = 8000  # each worker listens here inside its own container
VOLUME = "/models"  # path of the model volume inside a worker's container
CACHE = "/cache"
WORKERS, OUTSIDE = "workers", "outside"  # networks of stack.yaml: of gateways with workers, and with clients
ENCRYPTED, MTU = "encrypted", "com.docker.network.driver.mtu"  # options of an overlay network
SERVES = "wanwu.serves"  # label of the nodes that run workers
MONITOR = "10s"  # how long Swarm watches each updated task for failure
# For the account of nginx/Dockerfile alone.
TLS_SECRET = {"source": "tls", "target": "/gateway/tls/server.pem", "uid": "10001", "gid": "10001", "mode": 0o400}
MAX_SERVICE_NAME = 40  # length to which a model's name is cut in its service's name; Swarm allows 63 in all


@dataclass(frozen=True)
class Pool:
    """One model's service: `memory` is in bytes for each worker, `volume` the id of the volume with its folder."""

    replicas: int
    image: str
    memory: int
    volume: str
    gpus: bool


def service_name(model: str) -> str:
    """Return the name of a model's service, with a hash if it differs, since host names allow fewer characters."""
    valid = re.sub(r"[^a-z0-9]+", "-", model)[:MAX_SERVICE_NAME].strip("-")
    return valid if valid == model else f"{valid}-{hashlib.sha256(model.encode()).hexdigest()[:6]}"


def members(cluster: Cluster, stack: str) -> str:
    """Return the gate's members.json: each model with the DNS name that resolves to all tasks of its service."""
    pools = [
        {"model": model.name, "discover": f"tasks.{stack}_{service_name(model.name)}:{PORT}"}
        for model in cluster.models
    ]
    return members_document(cluster, pools, metrics=METRICS_IN_CONTAINER)


def environment(
    cluster: Cluster, gateway_image: str, members_file: str, members_text: str, monitor: str = MONITOR
) -> dict[str, str]:
    """Return the variables of stack.yaml."""
    _, memory = gateway_bytes(cluster)
    return {
        "WANWU_PORT": str(cluster.port),
        "WANWU_GATEWAY_IMAGE": gateway_image,
        "WANWU_MEMBERS": members_file,
        "WANWU_MONITOR": monitor,
        "WANWU_GATEWAY_MEMORY": str(memory),
        "WANWU_MEMBERS_NAME": f"wanwu-members-{hashlib.sha256(members_text.encode()).hexdigest()[:12]}",
    }


def keys_environment(file: str, text: str) -> dict[str, str]:
    """Return the variables of stack.yaml for the gate's keys, a secret that is named after its content."""
    return {"WANWU_KEYS": file, "WANWU_KEYS_NAME": f"wanwu-keys-{hashlib.sha256(text.encode()).hexdigest()[:12]}"}


def workers(
    cluster: Cluster,
    pools: Mapping[str, Pool],
    offline: Mapping[str, str],
    monitor: str = MONITOR,
    certificate: tuple[str, str] | None = None,
) -> str:
    """Return a stack file with a worker service for each model; `offline` holds the variables of offline.env.

    The gateways get `certificate`, the path and the text of a file, as a secret.
    """
    services: dict[str, object] = {
        service_name(model.name): _service(cluster, model, pools[model.name], offline, monitor)
        for model in cluster.models
    }
    stack: dict[str, object] = {"version": "3.13", "services": services}
    # A variable cannot give stack.yaml a number.
    tmp = {"type": "tmpfs", "target": "/gateway/tmp", "tmpfs": {"size": gateway_bytes(cluster)[0]}}
    if found := networks(cluster):
        stack["networks"] = found
    port = {"target": METRICS_PORT, "published": cluster.metrics.port, "protocol": "tcp", "mode": "host"}
    services["gateway"] = {
        "volumes": [tmp],
        **({"ports": [port]} if cluster.metrics.port else {}),
        **({"secrets": [TLS_SECRET]} if certificate else {}),
    }
    if certificate:
        path, content = certificate
        # Named after what is in it: a secret never changes.
        name = f"wanwu-tls-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
        stack["secrets"] = {TLS_SECRET["source"]: {"name": name, "file": path}}
    # Swarm would expand a single dollar sign as a variable.
    text = json.dumps(stack, indent=1).replace("$", "$$")
    return f"# {NOTICE}\n{text}\n"


def networks(cluster: Cluster) -> dict[str, object]:
    """Return what `[swarm]` adds to the networks of stack.yaml."""
    swarm = cluster.swarm
    mtu = {MTU: str(swarm.mtu)} if swarm.mtu else {}
    options = {WORKERS: {**mtu, **({ENCRYPTED: "true"} if swarm.encrypted else {})}, OUTSIDE: mtu}
    halves = ipaddress.IPv4Network(swarm.addresses).subnets() if swarm.addresses else ()
    found: dict[str, dict[str, object]] = {name: {"driver_opts": each} for name, each in options.items() if each}
    for name, half in zip(options, halves, strict=False):
        found.setdefault(name, {})["ipam"] = {"config": [{"subnet": str(half)}]}
    return dict(found)


def _service(cluster: Cluster, model: Model, pool: Pool, offline: Mapping[str, str], monitor: str) -> dict[str, object]:
    return {
        "image": pool.image,
        "networks": [WORKERS],
        "environment": _environment(cluster, model, pool, offline),
        "volumes": _mounts(model),
        "read_only": True,
        "cap_drop": ["ALL"],
        "init": True,
        "stop_grace_period": f"{stop_timeout_s(cluster)}s",
        "logging": {"driver": "json-file", "options": {"max-size": "50m", "max-file": "5"}},
        "deploy": _deploy(pool, monitor),
    }


def _mounts(model: Model) -> list[dict[str, object]]:
    """Return a worker's mounts, sorted by source, as `docker service update` sorts them: another order is a change."""
    mounts: list[dict[str, object]] = [
        {"type": "bind", "source": str(model.folder.parent), "target": VOLUME, "read_only": True},
        {"type": "bind", "source": SLOTS_FILE, "target": SLOTS_FILE, "read_only": True},
        # Compiled networks and text embeddings outlive a container, so that the next one starts faster.
        {"type": "volume", "source": "cache", "target": CACHE},
        {"type": "tmpfs", "target": "/tmp"},  # noqa: S108 - inside the container
    ]
    return sorted(mounts, key=lambda mount: str(mount.get("source", "")))


def _environment(cluster: Cluster, model: Model, pool: Pool, offline: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of all tasks of the service; each task adds what depends on its slot."""
    return {
        **offline,
        **volume_environment(cluster, model),
        **to_env(volume_id=pool.volume),
        # Swarm cannot assign a GPU to a task, so each worker sees all GPUs and uses only its slot's.
        **({"NVIDIA_VISIBLE_DEVICES": "all"} if pool.gpus else {}),
    }


def volume_environment(cluster: Cluster, model: Model) -> dict[str, str]:
    """Return the environment of every container that serves `model` from the model volume."""
    return to_env(
        model=model.name,
        model_dir=f"{VOLUME}/{model.folder.name}",
        bind=f"0.0.0.0:{PORT}",
        cache=CACHE,
        volume=VOLUME,
        # Swarm rolls an update back only if its workers exit, so a worker that cannot load its model must exit.
        on_load_error=EXIT,
        **cluster.settings,
    )


def _deploy(pool: Pool, monitor: str) -> dict[str, object]:
    # A slot holds one worker, so the old one must stop before the new one starts. The update continues once the new one
    # is healthy, that is once /readyz is 200; a worker that exits before counts as a failure, however long it took.
    update = {"parallelism": 1, "order": "stop-first", "monitor": monitor}
    slot = {"discrete_resource_spec": {"kind": "slot", "value": 1}}
    return {
        "replicas": pool.replicas,
        "endpoint_mode": "dnsrr",
        "placement": {"constraints": [f"node.labels.{SERVES} == true"], "preferences": [{"spread": "node.id"}]},
        "update_config": {**update, "failure_action": "rollback"},
        "rollback_config": {**update, "failure_action": "pause"},
        "restart_policy": {"condition": "any", "delay": "2s"},
        "resources": {
            "limits": {"memory": str(pool.memory), "pids": 1024},
            "reservations": {"generic_resources": [slot]},
        },
    }
