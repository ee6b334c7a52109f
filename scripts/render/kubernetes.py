"""Render a Kustomize overlay of compose/kubernetes: pure functions.

The base defines how a worker and the gateway run; the overlay adds the models and their resources. It is JSON, which is
valid YAML.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts.cluster.config import ROOT, Cluster
from scripts.cluster.keys import gate_keys
from scripts.cluster.schema import Model, Tls
from scripts.render.common import stop_timeout_s
from scripts.render.gateway import METRICS_IN_CONTAINER, members_document
from scripts.render.swarm import PORT, service_name, volume_environment

NOTICE = "# Rendered from cluster.toml by `make k8s`; changes here are lost at the next run.\n"
BASE = ROOT / "compose/kubernetes"
GATEWAY, WORKER = "wanwu-gateway", "wanwu-worker"  # names of the objects and images in the base
OVERLAY = "kustomization.yaml"
MEMBERS, KEYS = "members.json", "keys.json"
PATCH = "worker.yaml"
VOLUME = "/srv/wanwu/models"  # path on the nodes: scripts/init-server.sh mounts the model volume here
Manifest = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """The image and resources of a worker: whole `cpus`, `memory` in bytes, and whether it has a GPU."""

    image: str
    cpus: int
    memory: int
    gpu: bool


def render(cluster: Cluster, pods: Mapping[str, Pod], gateway_image: str, out: Path) -> dict[str, str]:
    """Return the text of each file, by its path below `out`, with relative paths to the base; `pods` are by model."""
    folders = {model.name: service_name(model.name) for model in cluster.models}
    files: dict[str, str] = {OVERLAY: _text(_gateway(cluster, gateway_image, [_base(GATEWAY, out), *folders.values()]))}
    files[MEMBERS] = _members(cluster)
    if cluster.access.keys:
        files[KEYS] = gate_keys(cluster)
    for model in cluster.models:
        folder, pod = folders[model.name], pods[model.name]
        files[f"{folder}/{OVERLAY}"] = _text(_worker(model, pod.image, _base(WORKER, out / folder)))
        files[f"{folder}/{PATCH}"] = _text(_patch(cluster, model, pod))
    return files


def worker_name(model: Model) -> str:
    return f"{WORKER}-{service_name(model.name)}"


def _base(name: str, folder: Path) -> str:
    return os.path.relpath(BASE / name.removeprefix("wanwu-"), folder)


def _text(manifest: Manifest) -> str:
    return NOTICE + json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


def _members(cluster: Cluster) -> str:
    """Return the gate's members.json: each model with the DNS name that resolves to all its workers."""
    pools = [{"model": model.name, "discover": f"{worker_name(model)}:{PORT}"} for model in cluster.models]
    # TLS is an Ingress's work there.
    metrics = METRICS_IN_CONTAINER if cluster.metrics.port else ()
    return members_document(replace(cluster, tls=Tls()), pools, metrics=metrics)


def _kustomization(resources: list[str], name: str, image: str, extra: Manifest) -> Manifest:
    image_name, _, tag = image.rpartition(":")
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": resources,
        "images": [{"name": name, "newName": image_name, "newTag": tag}],
        **extra,
    }


def _gateway(cluster: Cluster, image: str, resources: list[str]) -> Manifest:
    """Return the top overlay, with the gateway's port, members and keys; the ConfigMap's name changes with both."""
    port = [{"op": "replace", "path": "/spec/ports/0/port", "value": cluster.port}]
    return _kustomization(
        resources,
        GATEWAY,
        image,
        {
            "configMapGenerator": [
                {"name": f"{GATEWAY}-members", "files": [MEMBERS, *([KEYS] if cluster.access.keys else [])]}
            ],
            "patches": [{"target": {"kind": "Service", "name": GATEWAY}, "patch": json.dumps(port)}],
        },
    )


def _worker(model: Model, image: str, base: str) -> Manifest:
    """Return the overlay of one model's workers."""
    label = {"includeSelectors": True, "pairs": {"app.kubernetes.io/name": worker_name(model)}}
    extra = {"nameSuffix": f"-{service_name(model.name)}", "labels": [label], "patches": [{"path": PATCH}]}
    return _kustomization([base], WORKER, image, extra)


def _patch(cluster: Cluster, model: Model, pod: Pod) -> Manifest:
    """Return the Deployment patch of a model's workers; requests equal limits, so the pods are Guaranteed."""
    resources = {"cpu": str(pod.cpus), "memory": str(pod.memory), **({"nvidia.com/gpu": "1"} if pod.gpu else {})}
    environment = volume_environment(cluster, model)
    container = {
        "name": "worker",
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "resources": {"requests": resources, "limits": resources},
    }
    spec = {"terminationGracePeriodSeconds": stop_timeout_s(cluster), "containers": [container]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": WORKER},
        "spec": {"template": {"spec": spec}},
    }
