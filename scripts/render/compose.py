"""Render a plan as Docker Compose's input: pure functions, tested as exact text."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.cluster.config import Cluster
from scripts.cluster.plan import Plan, Worker
from scripts.render.common import NOTICE, model_of, stop_timeout_s, worker_environment
from scripts.render.gateway import METRICS_PORT, gateway_bytes
from worker.contract.cpu_list import format_cpu_list

GATEWAY_PORT = 8080  # of the gateway, inside the container of its entrance
GATEWAY, ENTRANCE = PARTS = "gateway", "entrance"  # services beside the workers, whose names end with a number
PORT = 8000  # each worker listens here inside its own container
ENTRANCE_IMAGE, GATEWAY_IMAGE = "WANWU_ENTRANCE_IMAGE", "WANWU_GATEWAY_IMAGE"  # variables of compose.yaml
IMAGE = re.compile(rf"^({ENTRANCE_IMAGE}|{GATEWAY_IMAGE})='(.*)'$", re.MULTILINE)
CACHE = "/cache"
MODELS = "/models"  # parent of the model folder inside a worker's container


def environment(cluster: Cluster, gateway_image: str, entrance_image: str, members_folder: Path, tls: Path) -> str:
    """Return the variables of compose.yaml as the text of an env file; `tls` is the folder with the certificate."""
    tmp, memory = gateway_bytes(cluster)
    variables = {
        ENTRANCE_IMAGE: entrance_image,
        GATEWAY_IMAGE: gateway_image,
        "WANWU_MEMBERS": members_folder,
        "WANWU_TLS": tls,
        "WANWU_ENTRANCE_OPTIONS": f"--port {METRICS_PORT}" if cluster.metrics.port else "",
        "WANWU_GATEWAY_TMP": tmp,
        "WANWU_GATEWAY_MEMORY": memory,
    }
    return f"# {NOTICE}\n" + "".join(f"{name}='{value}'\n" for name, value in variables.items())


def with_images(text: str, gateway_image: str, entrance_image: str) -> str:
    """Return what an earlier kit's `environment` returned with the images of these."""
    kept = [line for line in text.splitlines() if not IMAGE.match(line)]
    images = {ENTRANCE_IMAGE: entrance_image, GATEWAY_IMAGE: gateway_image}
    return "\n".join([*kept, *(f"{name}='{image}'" for name, image in images.items())]) + "\n"


def entrance_image(text: str) -> str:
    """Return the entrance's image in what `environment` returned; nothing if there is none."""
    return {found[1]: found[2] for found in IMAGE.finditer(text)}.get(ENTRANCE_IMAGE, "")


def images(text: str) -> list[str]:
    """Return the references of the images that are in what `environment` returned."""
    return [found[2] for found in IMAGE.finditer(text)]


def workers(
    cluster: Cluster,
    plan: Plan,
    images: Mapping[str, str],
    memory: Mapping[str, int],
    hashes: Mapping[str, str],
    offline: Mapping[str, str],
    worker_yaml: Path,
) -> str:
    """Return a Compose file of the workers, each extending `worker_yaml`, and of the entrance's ports.

    `images`, `memory` (bytes) and `hashes` of the folder are by model; `offline` are variables of all. The text is
    JSON, which is valid YAML.
    """
    extends = {"extends": {"file": str(worker_yaml), "service": "worker"}}
    services: dict[str, object] = {
        worker.name: extends
        | _worker(cluster, worker, images[worker.model], memory[worker.model], offline)
        # Another content of the folder makes another service, which replaces the worker.
        | {"labels": {"wanwu.model": hashes[worker.model]}}
        for worker in plan.workers
    }
    volumes: dict[str, object] = {_cache(worker): {} for worker in plan.workers}
    services[ENTRANCE] = {"ports": _entrance_ports(cluster)}
    # Compose would expand a single dollar sign as a variable.
    return f"# {NOTICE}\n" + json.dumps({"services": services, "volumes": volumes}, indent=1).replace("$", "$$") + "\n"


def _entrance_ports(cluster: Cluster) -> list[str]:
    metrics = cluster.metrics
    ports = [(cluster.gateway.listen, cluster.port, GATEWAY_PORT), (metrics.listen, metrics.port, METRICS_PORT)]
    return [port for listen, own, target in ports if own for port in _port(listen, own, target)]


def _port(listen: Sequence[str], own: int, target: int) -> list[str]:
    """Return the entrance's port `target` published as `own` at the addresses `listen`, or else at all."""
    addresses = [f"[{one}]:" if ":" in one else f"{one}:" for one in listen] or [""]
    return [f"{address}{own}:{target}" for address in addresses]


def worker_texts(text: str) -> dict[str, str]:
    """Return worker -> its service in what `workers` returned, as JSON in one line."""
    services = _read(text).get("services", {})
    return {name: json.dumps(service) for name, service in services.items() if name not in PARTS}


def published(text: str) -> list[str]:
    """Return the published addresses in what `workers` returned; earlier kits had them at the gateway."""
    services = _read(text).get("services", {})
    return [port for part in PARTS for port in services.get(part, {}).get("ports", [])]


def with_workers(text: str, texts: Mapping[str, str]) -> str:
    """Return `text`, which `workers` returned, with the services in `texts` and their volumes in place of its own."""
    services = {name: json.loads(service) for name, service in texts.items()}
    volumes: dict[str, object] = {
        volume["source"]: {}
        for service in services.values()
        for volume in service["volumes"]
        if volume["type"] == "volume"
    }
    services[ENTRANCE] = {"ports": published(text)}
    return f"# {NOTICE}\n" + json.dumps({"services": services, "volumes": volumes}, indent=1) + "\n"


def _read(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text.partition("\n")[2] or "{}")
    return document


def _cache(worker: Worker) -> str:
    """Return the name of the volume for what outlives a container: one a worker, so that none can change another's."""
    return f"cache-{worker.name}"


def _worker(cluster: Cluster, worker: Worker, image: str, memory: int, offline: Mapping[str, str]) -> dict[str, object]:
    model = model_of(cluster, worker)
    target = f"{MODELS}/{model.name}"
    service: dict[str, object] = {
        "image": image,
        # A cpuset rather than a quota: engines start a thread for each CPU they see, and a quota does not hide CPUs.
        "cpuset": format_cpu_list(worker.slot.cpus),
        "mem_limit": memory,
        "environment": {**offline, **worker_environment(cluster, worker, f"0.0.0.0:{PORT}", target)},
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
