"""Render a plan as Docker Compose's input: pure functions, tested as exact text."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.cluster.config import Cluster
from scripts.cluster.plan import Plan, Worker
from scripts.render.common import METRICS_PORT, NOTICE, gateway_bytes, model_of, stop_timeout_s, worker_environment
from worker.contract.cpu_list import format_cpu_list

GATEWAY_PORT = 8080  # of the gateway, inside its container
PORT = 8000  # each worker listens here inside its own container
CACHE = "/cache"
MODELS = "/models"  # parent of the model folder inside a worker's container


def environment(cluster: Cluster, gateway_image: str, members_folder: Path, tls_folder: Path) -> str:
    """Return the variables of compose.yaml as the text of an env file."""
    tmp, memory = gateway_bytes(cluster)
    variables = {
        "WANWU_GATEWAY_IMAGE": gateway_image,
        "WANWU_MEMBERS": members_folder,
        "WANWU_TLS": tls_folder,
        "WANWU_GATEWAY_TMP": tmp,
        "WANWU_GATEWAY_MEMORY": memory,
    }
    return f"# {NOTICE}\n" + "".join(f"{name}='{value}'\n" for name, value in variables.items())


def workers(
    cluster: Cluster, plan: Plan, images: Mapping[str, str], memory: Mapping[str, int], worker_yaml: Path
) -> str:
    """Return a Compose file of the workers, each extending `worker_yaml`, and of the gateway's ports.

    `images` and `memory` (bytes) are by model. The text is JSON, which is valid YAML.
    """
    extends = {"extends": {"file": str(worker_yaml), "service": "worker"}}
    services: dict[str, object] = {
        worker.name: extends | _worker(cluster, worker, images[worker.model], memory[worker.model])
        for worker in plan.workers
    }
    volumes: dict[str, object] = {_cache(worker): {} for worker in plan.workers}
    ports = _published(cluster.listen, cluster.port, GATEWAY_PORT)
    ports += _published(cluster.metrics.listen, cluster.metrics.port, METRICS_PORT) if cluster.metrics.port else []
    services["gateway"] = {"ports": ports}
    # Compose would expand a single dollar sign as a variable.
    return f"# {NOTICE}\n" + json.dumps({"services": services, "volumes": volumes}, indent=1).replace("$", "$$") + "\n"


def _published(addresses: Sequence[str], port: int, inside: int) -> list[str]:
    """Return Compose's lines that publish the port `inside` the gateway as `port` of `addresses`, or of all."""
    hosts = [f"[{one}]:" if ":" in one else f"{one}:" for one in addresses] or [""]
    return [f"{host}{port}:{inside}" for host in hosts]


def _cache(worker: Worker) -> str:
    """Return the name of the volume for what outlives a worker: one a slot, so that no worker can change another's."""
    return f"cache-{worker.slot.name}"


def _worker(cluster: Cluster, worker: Worker, image: str, memory: int) -> dict[str, object]:
    model = model_of(cluster, worker)
    target = f"{MODELS}/{model.name}"
    service: dict[str, object] = {
        "image": image,
        # A cpuset rather than a quota: engines start a thread for each CPU they see, and a quota does not hide CPUs.
        "cpuset": format_cpu_list(worker.slot.cpus),
        "mem_limit": memory,
        "environment": worker_environment(cluster, worker, f"0.0.0.0:{PORT}", target),
        "volumes": [
            {
                "type": "bind",
                "source": str(model.folder),
                "target": target,
                "read_only": True,
                # Without this, Docker creates a missing folder instead of reporting an error.
                "bind": {"create_host_path": False},
            },
            {"type": "volume", "source": _cache(worker), "target": CACHE},
        ],
        "stop_grace_period": f"{stop_timeout_s(cluster)}s",
    }
    if worker.slot.gpu:
        device = {"driver": "nvidia", "device_ids": [worker.slot.gpu], "capabilities": ["gpu"]}
        service["deploy"] = {"resources": {"reservations": {"devices": [device]}}}
    return service
