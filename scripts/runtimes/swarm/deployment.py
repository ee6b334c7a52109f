"""The deployment of several servers, planned from the slots that the nodes of the swarm offer.

The plan decides how many slots each model gets; Swarm decides which.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.base.waiting import wait_until
from scripts.cluster.config import Cluster
from scripts.cluster.hardware import read_hardware
from scripts.cluster.models import read_models
from scripts.cluster.plan import Plan, Slot, Worker, spread_models, too_few_slots
from scripts.cluster.schema import Server
from scripts.cluster.slots import requested_settings
from scripts.host import docker
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.swarm.nodes import RESOURCE_KIND, SERVER, Node, read_nodes
from worker.contract.machine import machine_kind
from worker.contract.volume import SENTINEL, VolumeError, read_sentinel

INIT_REMEDY = "run scripts/init-server.sh there"
ANSWER_TIMEOUT_S = 60  # for a new leader, and after a cut of its network, a server is lost until it tries again
GPU_SLOT = "-gpu"  # in the name of a GPU slot, as scripts.cluster.plan names it


@dataclass(frozen=True)
class SwarmDeployment(Deployment):
    """A deployment on several servers; `nodes` maps server names to nodes of the swarm."""

    nodes: Mapping[str, Node] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)  # model name -> id of the model volume with its folder

    @property
    def endpoint(self) -> str:
        return next(iter(self.gateways.values()))

    def describe(self) -> str:
        return self.plan_text()

    @property
    def gateways(self) -> dict[str, str]:
        """Return server name -> URL of its gateway."""
        return gateways(self.cluster)

    @property
    def replicas(self) -> Counter[str]:
        """Return model name -> number of its workers."""
        return Counter(worker.model for worker in self.plan.workers)

    @property
    def has_gpus(self) -> bool:
        return any(GPU_SLOT in worker.slot.name for worker in self.plan.workers)


def gateways(cluster: Cluster) -> dict[str, str]:
    return {server.name: cluster.url(server.address) for server in cluster.servers if server.gateway}


def plan_servers(cluster: Cluster, run: RunDir, excluded: Sequence[str] = ()) -> SwarmDeployment:
    """Return `cluster` planned for this engine's swarm without `excluded` servers; raise CommandError if that fails."""
    if not docker.is_swarm_manager():
        raise CommandError(
            "found no engine that manages a swarm, needed one for several servers: run this on the server that was "
            "initialised with --first, or on another manager"
        )
    servers = [server for server in cluster.servers if server.name not in excluded]
    nodes = chosen_nodes(cluster, servers, _nodes_once_they_answer(servers))
    hardware = read_hardware()
    kinds = [*dict.fromkeys(gpu.name for gpu in hardware.gpus), machine_kind()]
    models = read_models(cluster, kinds)
    planned, model_volumes = plan(cluster, nodes), volumes(cluster)
    return SwarmDeployment(cluster, hardware, models, planned, run, nodes=nodes, volumes=model_volumes)


def _nodes_once_they_answer(servers: Sequence[Server]) -> list[Node]:
    """Return the swarm's nodes as soon as those of `servers` answer, after ANSWER_TIMEOUT_S as they are."""
    names, nodes = {server.name for server in servers}, read_nodes()
    silent = [node.hostname for node in nodes if not node.ready and names & {node.labels.get(SERVER), node.hostname}]
    if silent:
        step(f"waiting for {', '.join(silent)} to answer")
        wait_until(lambda: all(node.ready for node in read_nodes() if node.hostname in silent), ANSWER_TIMEOUT_S, 1)
        nodes = read_nodes()
    return nodes


def plan_without(cluster: Cluster, run: RunDir, server: str) -> tuple[SwarmDeployment, Node]:
    """Return `cluster` planned without `server`, and the server's node; raise CommandError if it cannot be drained."""
    known = [one.name for one in cluster.servers]
    if server not in known or known == [server]:
        raise CommandError(
            f"SERVER: found {server!r}, needed one of {', '.join(known)}, and another server that keeps serving"
        )
    node = next((node for node in read_nodes() if server in (node.labels.get(SERVER), node.hostname)), None)
    if node is None:
        raise CommandError(f"SERVER: found {server!r}, needed a node of this swarm: remove it from {cluster.source}")
    return plan_servers(cluster, run, [server]), node


def chosen_nodes(cluster: Cluster, servers: Sequence[Server], nodes: Sequence[Node]) -> dict[str, Node]:
    """Return server name -> node for `servers`; raise CommandError with a line for each that has no usable node."""
    chosen: dict[str, Node] = {}
    faults = []
    for index, server in enumerate(cluster.servers):
        if server not in servers:
            continue
        node = next((node for node in nodes if server.name in (node.labels.get(SERVER), node.hostname)), None)
        if fault := _fault(server, node, nodes):
            faults.append(f"{cluster.source}: servers/{index}/name: {fault}")
        elif node:
            faults += [f"{cluster.source}: servers/{index}/{line}" for line in _slot_faults(server, node)]
            chosen[server.name] = node
    if faults:
        raise CommandError(*faults)
    return chosen


def _fault(server: Server, node: Node | None, nodes: Sequence[Node]) -> str | None:
    if node is None:
        known = ", ".join(node.hostname for node in nodes)
        return f'found "{server.name}", which is not a node of the swarm, needed one of {known}: {INIT_REMEDY}'
    if not node.ready:
        return (
            f'found "{server.name}", which does not answer, needed a running server: start it, or run '
            f"`make drain SERVER={server.name}` and remove it from the file"
        )
    if not node.slots:
        return (
            f'found "{server.name}", whose engine offers no resource "{RESOURCE_KIND}", needed one for each worker: '
            f"{INIT_REMEDY}"
        )
    if others := [slot for slot in node.slots if slot.rpartition("-")[0] != server.name]:
        return f'found "{server.name}", which offers {", ".join(others)}, needed slots named after it: {INIT_REMEDY}'
    return None


def _slot_faults(server: Server, node: Node) -> list[str]:
    """Return a line for each key of `server` that differs from what its slots were created from."""
    requested = requested_settings(server)
    return [
        f"{key}: found {_json_value(requested, key)}, needed {_json_value(node.slot_keys, key)}, as when {server.name} "
        "was initialised, which fixes a server's slots under Docker Swarm: write that value, or initialise the server "
        "again with this file: `make init`, or scripts/init-server.sh --cluster there"
        for key in sorted(requested.keys() | node.slot_keys.keys())
        if requested.get(key) != node.slot_keys.get(key)
    ]


def _json_value(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values.get(key, "auto"))


def plan(cluster: Cluster, nodes: Mapping[str, Node]) -> Plan:
    """Return a worker for every slot, the models spread by their shares; raise CommandError if slots are too few."""
    slots = [Slot(name, server, (), None) for server, node in nodes.items() for name in node.slots]
    if faults := too_few_slots(len(cluster.models), slots):
        raise CommandError(*(f"{cluster.source}: {fault}" for fault in faults))
    models = spread_models(cluster.models, len(slots))
    return Plan(tuple(Worker(f"{model}-{slot.name}", model, slot) for slot, model in zip(slots, models, strict=True)))


def volumes(cluster: Cluster) -> dict[str, str]:
    """Return model name -> id of the model volume that holds the model's folder.

    Raise CommandError if a folder is not on a model volume, or if the volume does not list it.
    """
    volume_of: dict[str, str] = {}
    faults = []
    for index, model in enumerate(cluster.models):
        where = f"{cluster.source}: models/{index}/folder: found {model.folder}"
        try:
            volume_id, folders = read_sentinel(model.folder.parent)
        except VolumeError as error:
            faults.append(f"{where}, needed a folder of the model volume, with {SENTINEL} next to it: {error}")
            continue
        if model.folder.name not in folders:
            listed = ", ".join(folders) or "none"
            faults.append(f"{where}, which the volume {volume_id} does not list, needed one of {listed}")
        volume_of[model.name] = volume_id
    if faults:
        raise CommandError(*faults)
    return volume_of
