"""From the cluster's file to manifests for those who run Kubernetes: pure.

A worker has whole CPUs of its own where the kubelet's CPU manager is static, since its pod is Guaranteed; it reads
which ones from its own mask. The autoscaler needs an adapter that serves the workers' metrics as pod metrics.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.cluster.config import Cluster, Model
from scripts.render import yaml
from scripts.render.common import patience_s
from scripts.render.swarm import CACHE, PORT, VOLUME, from_volume, service_name
from worker.contract.settings import SETTINGS

NOTICE = "# Rendered from compose/cluster.toml by `make k8s`; a change here is lost at the next one.\n"
GATEWAY, GATEWAY_PORT = "wanwu-gateway", 8080
GATEWAY_CPUS, GATEWAY_MEMORY, GATEWAY_GRACE_S = 1, 1_000_000_000, 40  # as compose.yaml gives it
GATEWAYS, LEAST, MOST = 2, 2, 8  # replicas: of the gateway, and between which a model's workers are scaled
IN_FLIGHT = 8  # images in flight for each worker, above which there are to be more workers
METRIC = "wanwu_in_flight_images"
USER = 10001  # of the images
ON_NODES = "/srv/wanwu/models"  # where scripts/init-server.sh mounts the model volume
START = (2, 150)  # seconds between looks, and looks, until a worker that does not get ready is started again
# Which CPUs and GPU it was given a worker learns only inside its pod.
COMMAND = (
    f"export {SETTINGS['cpus'].variable}=\"$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)\" "
    f'{SETTINGS["gpu"].variable}="${{NVIDIA_VISIBLE_DEVICES:-}}" '
    '&& exec python3 -m gunicorn -c worker/gunicorn.conf.py "worker.app:create_app()"'
)
Manifest = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """What one worker of a model gets: whole `cpus`, `memory` in bytes, and one GPU or none."""

    image: str
    cpus: int
    memory: int
    gpu: bool


def render(cluster: Cluster, pods: Mapping[str, Pod], gateway_image: str) -> dict[str, str]:
    """The files' texts by name; `pods` are by model."""
    files = {f"{GATEWAY}.yaml": gateway(cluster, gateway_image)}
    files |= {f"{worker_name(model)}.yaml": worker(cluster, model, pods[model.name]) for model in cluster.models}
    return {name: NOTICE + "---\n".join(map(yaml.dump, listed)) for name, listed in files.items()}


def worker_name(model: Model) -> str:
    return f"wanwu-worker-{service_name(model.name)}"


def gateway(cluster: Cluster, image: str) -> list[Manifest]:
    """The members that the gate follows, Nginx with the gate, and the one endpoint."""
    pools = [{"model": model.name, "discover": f"{worker_name(model)}:{PORT}"} for model in cluster.models]
    members = json.dumps({"pools": pools}, indent=1) + "\n"
    scratch = {"rendered": "/gateway/rendered", "run": "/gateway/tmp", "tmp": "/tmp"}  # noqa: S108 - the container's own
    container = {
        **_container("gateway", image, GATEWAY_PORT),
        "resources": _resources(GATEWAY_CPUS, GATEWAY_MEMORY),
        "startupProbe": _probe("/livez", *START),
        "livenessProbe": _probe("/livez", 10, 3),
        "readinessProbe": _probe("/readyz", 3, 2),
        "volumeMounts": [_mount("members", "/gateway/members", True), *_scratch_mounts(scratch)],
    }
    volumes = [{"name": "members", "configMap": {"name": GATEWAY}}, *_scratch(scratch)]
    pod = _pod(GATEWAY, container, volumes, GATEWAY_GRACE_S)
    return [
        _object("v1", "ConfigMap", GATEWAY) | {"data": {"members.json": members}},
        _deployment(GATEWAY, pod, {"replicas": GATEWAYS}, {"maxUnavailable": 0, "maxSurge": 1}),
        _service(GATEWAY, cluster.port, {}),
        _budget(GATEWAY),
    ]


def worker(cluster: Cluster, model: Model, pod: Pod) -> list[Manifest]:
    """One model's workers, the name by which the gate finds them, and between which numbers they are scaled."""
    name, scratch = worker_name(model), {"cache": CACHE, "tmp": "/tmp"}  # noqa: S108 - the container's own
    container = {
        **_container("worker", pod.image, PORT),
        "command": ["sh", "-c", COMMAND],
        "env": _environment(cluster, model),
        "resources": _resources(pod.cpus, pod.memory, {"nvidia.com/gpu": "1"} if pod.gpu else {}),
        "startupProbe": _probe("/readyz", *START),
        "livenessProbe": _probe("/livez", 10, 3),
        "readinessProbe": _probe("/readyz", 2, 2),
        "volumeMounts": [_mount("models", VOLUME, True), *_scratch_mounts(scratch)],
    }
    volumes = [{"name": "models", "hostPath": {"path": ON_NODES, "type": "Directory"}}, *_scratch(scratch)]
    # A node may have no cores for a worker more: the old one leaves before the new one comes.
    deployment = _deployment(
        name, _pod(name, container, volumes, patience_s(cluster)), {}, {"maxUnavailable": 1, "maxSurge": 0}
    )
    # The gate asks every worker itself, also those that are not ready yet, or not any more.
    found = _service(name, PORT, {"clusterIP": "None", "publishNotReadyAddresses": True})
    return [deployment, found, _budget(name), _autoscaler(name)]


def _environment(cluster: Cluster, model: Model) -> list[Manifest]:
    fixed = from_volume(cluster, model)
    own = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    return [
        *({"name": name, **own} for name in (SETTINGS["worker"].variable, SETTINGS["slot"].variable)),
        *({"name": name, "value": value} for name, value in fixed.items()),
    ]


def _object(version: str, kind: str, name: str) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": _labels(name)}}


def _labels(name: str) -> Manifest:
    return {"app.kubernetes.io/part-of": "wanwu", "app.kubernetes.io/name": name}


def _deployment(name: str, pod: Manifest, spec: Manifest, rolling: Manifest) -> Manifest:
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    own = {**spec, "selector": {"matchLabels": _labels(name)}, "strategy": strategy, "template": pod}
    return _object("apps/v1", "Deployment", name) | {"spec": own}


def _pod(name: str, container: Manifest, volumes: list[Manifest], grace_s: int) -> Manifest:
    apart = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": _labels(name)},
    }
    spec = {
        "automountServiceAccountToken": False,
        # Kubernetes would make variables of services that begin like settings, and a worker refuses unknown ones.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_s,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [apart],
        "containers": [container],
        "volumes": volumes,
    }
    return {"metadata": {"labels": _labels(name)}, "spec": spec}


def _container(name: str, image: str, port: int) -> Manifest:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": port}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _resources(cpus: int, memory: int, more: Mapping[str, str] | None = None) -> Manifest:
    """Requests that are the limits, in whole CPUs: what makes a pod Guaranteed, and its CPUs its own."""
    listed = {"cpu": str(cpus), "memory": str(memory), **(more or {})}
    return {"requests": listed, "limits": listed}


def _probe(path: str, period_s: int, failures: int) -> Manifest:
    asked = {"httpGet": {"path": path, "port": "http"}, "timeoutSeconds": 3}
    return asked | {"periodSeconds": period_s, "failureThreshold": failures}


def _mount(name: str, path: str, read_only: bool) -> Manifest:
    return {"name": name, "mountPath": path, "readOnly": read_only}


def _scratch_mounts(folders: Mapping[str, str]) -> list[Manifest]:
    return [_mount(name, path, False) for name, path in folders.items()]


def _scratch(folders: Mapping[str, str]) -> list[Manifest]:
    return [{"name": name, "emptyDir": {}} for name in folders]


def _service(name: str, port: int, more: Manifest) -> Manifest:
    ports = [{"name": "http", "port": port, "targetPort": "http"}]
    return _object("v1", "Service", name) | {"spec": {**more, "selector": _labels(name), "ports": ports}}


def _budget(name: str) -> Manifest:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": _labels(name)}}
    return _object("policy/v1", "PodDisruptionBudget", name) | {"spec": spec}


def _autoscaler(name: str) -> Manifest:
    target = {"type": "AverageValue", "averageValue": str(IN_FLIGHT)}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": LEAST,
        "maxReplicas": MOST,
        "metrics": [{"type": "Pods", "pods": {"metric": {"name": METRIC}, "target": target}}],
    }
    return _object("autoscaling/v2", "HorizontalPodAutoscaler", name) | {"spec": spec}
