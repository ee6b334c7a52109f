"""Which servers manage the swarm: three where there are three or more, so that it survives any one of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.base.waiting import wait_until
from scripts.host import docker
from scripts.runtimes.swarm import consensus
from scripts.runtimes.swarm.nodes import Node, read_nodes

DEFAULT_MANAGERS = 3  # which go on when one is lost; more than that only slow each other down on a few servers
REACH_TIMEOUT_S = 120


@dataclass(frozen=True)
class Change:
    """The nodes to promote, then the ones to demote."""

    promote: tuple[Node, ...] = ()
    demote: tuple[Node, ...] = ()


def count_for(servers: int, chosen: int | None) -> int:
    """Return how many of the `servers` manage: `chosen`, or DEFAULT_MANAGERS, or the odd number that they suffice for.

    An even number survives the loss of no more managers than the odd one below it.
    """
    most = min(chosen or DEFAULT_MANAGERS, servers)
    return most if most % 2 else most - 1


def change(nodes: Sequence[Node], serving: Sequence[Node], own: str, chosen: int | None, leaving: str = "") -> Change:
    """Return what makes the managers those that are wanted; `serving` are the nodes of the cluster's servers.

    Managers that do not answer, and the node with the id `leaving`, are replaced. One without a table in the cluster
    file stays and counts, as long as it answers. `own` is the id of the node whose engine is asked: it stays.
    """
    able = [node for node in serving if node.ready]
    lost = [node for node in nodes if node.manager and node.id != own and (not node.ready or node.id == leaving)]
    managing = [node for node in nodes if node.manager and node not in lost]
    wanted = count_for(len({node.id for node in (*able, *managing)}), chosen)
    promote = [node for node in able if not node.manager][: max(0, wanted - len(managing))]
    spare = [node for node in managing if node in able and node.id != own]
    excess = max(0, len(managing) - wanted)
    return Change(tuple(promote), (*lost, *spare[len(spare) - excess :]))


def appoint(serving: Sequence[Node], chosen: int | None, leaving: str = "") -> None:
    """Promote and demote nodes as `change` says; raise CommandError if a new manager cannot be reached."""
    own = docker.run(["info", "--format", "{{.Swarm.NodeID}}"]).strip()
    planned = change(read_nodes(), serving, own, chosen, leaving)
    if planned.promote:
        step(f"new managers of the swarm: {_names(planned.promote)}")
        consensus.run(["node", "promote", *(node.id for node in planned.promote)])
        ids = {node.id for node in planned.promote}
        if not wait_until(lambda: ids <= _reachable(), REACH_TIMEOUT_S, consensus.INTERVAL_S):
            raise CommandError(
                f"found {_names(planned.promote)} not reachable as managers after {REACH_TIMEOUT_S} seconds, needed "
                "TCP port 2377 open between all servers: open it, and run this again"
            )
    if planned.demote:
        step(f"no longer managers of the swarm: {_names(planned.demote)}")
        for node in planned.demote:
            _demote(node)


def _demote(node: Node) -> None:
    """Demote the node, and return once it has no vote: until then no other may be demoted."""
    consensus.run(["node", "demote", node.id])
    if not wait_until(lambda: node.id not in _voting(), REACH_TIMEOUT_S, consensus.INTERVAL_S):
        raise CommandError(
            f"found {node.hostname} still a manager after {REACH_TIMEOUT_S} seconds: see `docker node ls`"
        )


def lock() -> None:
    """Have every manager wait for a key after a restart, unless that is so; print the key, which nothing else keeps."""
    state = "{{.Swarm.Cluster.Spec.EncryptionConfig.AutoLockManagers}}"
    if docker.run(["info", "--format", state]).strip() == "true":
        return
    consensus.run(["swarm", "update", "--autolock=true"])
    key = consensus.run(["swarm", "unlock-key", "--quiet"]).strip()
    step("the swarm is locked from now on: after a restart, `docker swarm unlock` asks each manager for this key")
    say(f"   {key}")


def _voting() -> set[str]:
    return {node.id for node in read_nodes() if node.votes}


def _reachable() -> set[str]:
    return {node.id for node in read_nodes() if node.reachable}


def _names(nodes: Sequence[Node]) -> str:
    return ", ".join(node.hostname for node in nodes)
