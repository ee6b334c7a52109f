"""Which nodes serve: what must hold before a start, and the labels by which Swarm places tasks."""

from scripts.base.errors import CommandError
from scripts.render import swarm as render_swarm
from scripts.runtimes.swarm import consensus
from scripts.runtimes.swarm.deployment import SwarmDeployment
from scripts.runtimes.swarm.nodes import GATEWAY, SERVER, STACK, read_nodes, read_services, read_tasks


def require_drained(deployment: SwarmDeployment) -> None:
    """Raise CommandError if tasks run on a server that the cluster file no longer has."""
    serving = {task.node for task in read_tasks(read_services()) if task.running}
    planned = {node.id for node in deployment.nodes.values()}
    for node in read_nodes():
        if node.id in serving - planned and node.active and node.ready:
            name = node.labels.get(SERVER, node.hostname)
            raise CommandError(
                f"{deployment.cluster.source}: servers: found no table of {name}, which still serves: "
                f"put it back, run `make drain SERVER={name}`, and then remove it"
            )


def require_encryption(wanted: bool) -> None:
    """Raise CommandError if the workers' network exists and is otherwise: no network changes while it is in use."""
    network = f"{STACK}_{render_swarm.WORKERS}"
    if not consensus.run(["network", "ls", "--quiet", "--filter", f"name=^{network}$"]).strip():
        return
    (found,) = consensus.inspect("network", [network])
    if (render_swarm.ENCRYPTED in (found.get("Options") or {})) != wanted:
        raise CommandError(
            f"swarm/encrypted: found {str(wanted).lower()}, needed {str(not wanted).lower()}, as the service runs: "
            "`make down` first, then `make up`"
        )


def label_nodes(deployment: SwarmDeployment) -> None:
    """Activate and label the nodes: only the cluster's servers run workers, and its gateway servers a gateway."""
    server_of = {node.id: server for server, node in deployment.nodes.items()}
    for node in read_nodes():
        if server := server_of.get(node.id):
            has_gateway = "true" if server in deployment.gateways else "false"
            expected = {SERVER: server, render_swarm.SERVES: "true", GATEWAY: has_gateway}
            if not node.active or any(node.labels.get(key) != value for key, value in expected.items()):
                labels = [part for key, value in expected.items() for part in ("--label-add", f"{key}={value}")]
                consensus.run(["node", "update", "--availability", "active", *labels, node.id])
        elif own_labels := [key for key in (SERVER, render_swarm.SERVES, GATEWAY) if key in node.labels]:
            consensus.run(["node", "update", *(part for key in own_labels for part in ("--label-rm", key)), node.id])
