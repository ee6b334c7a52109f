"""`make status` on several servers: a table of slots with task and worker, and a table of servers."""

from collections.abc import Mapping, Sequence
from typing import Any

from scripts.base.console import aligned, say
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.cluster.config import Cluster
from scripts.cluster.keys import own_key
from scripts.host import certificates
from scripts.runtimes.status import COLUMNS, cell, needs_key
from scripts.runtimes.swarm.deployment import gateways
from scripts.runtimes.swarm.nodes import SERVER, STACK, Node, Service, Task, read_nodes, read_services, read_tasks

SLOT_COLUMNS = (*COLUMNS[:2], "task", "task state", *COLUMNS[2:])
SERVER_COLUMNS = ("server", "state", "serves", "manager", "slots", "filled", "gateway")
WAITING_STATES = ("new", "pending", "assigned", "accepted", "preparing", "ready", "starting")


def print_status(cluster: Cluster) -> None:
    """Print both tables; raise CommandError with a line for each fault of a slot, worker or gateway."""
    nodes, services = read_nodes(), read_services()
    if not services:
        raise CommandError("nothing is running in this swarm: run `make up`")
    tasks = [task for task in read_tasks(services) if task.desired_state == "running" or task.running]
    key = own_key(cluster)
    answers = {server: get(f"{url}/status", key=key) for server, url in gateways(cluster).items()}
    if refused := next((code for code, _ in answers.values() if code in (401, 403)), None):
        raise CommandError(needs_key(refused))
    reports: dict[str, list[dict[str, Any]] | None] = {
        server: status.get("workers") for server, (_, status) in answers.items()
    }
    workers = next((report for report in reports.values() if report), [])
    slots = slot_rows(nodes, services, tasks, workers)
    say(aligned([SLOT_COLUMNS, *([cell(row.get(column)) for column in SLOT_COLUMNS] for row in slots)]))
    servers = [server_row(node, tasks, reports) for node in nodes]
    say("\n" + aligned([SERVER_COLUMNS, *servers]))
    faults = slot_faults(slots) + waiting_tasks(services, tasks)
    faults += certificates.faults(cluster)
    silent = [server for server, report in reports.items() if report is None]
    faults += [f"no gateway answers on {server}" for server in silent]
    if faults:
        raise CommandError(*faults)


def slot_rows(
    nodes: Sequence[Node], services: Sequence[Service], tasks: Sequence[Task], workers: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return a row for every slot: its task by Swarm, and the status of its worker by the gateway."""
    names = {service.id: service.name.removeprefix(f"{STACK}_") for service in services}
    holder = {(task.node, task.slot): task for task in tasks}
    worker = {report["slot"]: report for report in workers}
    rows = []
    for node in nodes:
        for slot in node.slots:
            task = holder.get((node.id, slot))
            task_cells = {"task": f"{names[task.service]}.{task.number}", "task state": task.state} if task else {}
            rows.append({"server": _name(node), "slot": slot, **task_cells, **worker.get(slot, {"in": False})})
    return rows


def server_row(node: Node, tasks: Sequence[Task], reports: Mapping[str, object]) -> list[str]:
    name = _name(node)
    filled = sum(task.node == node.id and task.slot != "" and task.running for task in tasks)
    gateway = "-" if name not in reports else "answers" if reports[name] is not None else "silent"
    state = "ready" if node.ready else "down"
    return [name, state, cell(node.active), cell(node.manager), str(len(node.slots)), str(filled), gateway]


def slot_faults(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    out = [row["slot"] for row in rows if "task" in row and not row["in"]]
    empty = [row["slot"] for row in rows if "task" not in row]
    return [
        f"{what}: {', '.join(slots)}; see `make logs`"
        for what, slots in (("out of rotation", out), ("slots without a task", empty))
        if slots
    ]


def waiting_tasks(services: Sequence[Service], tasks: Sequence[Task]) -> list[str]:
    """Return a line for each service with tasks that have no slot yet, with Swarm's reason."""
    lines = []
    for service in services:
        pending = [
            task for task in tasks if task.service == service.id and task.state in WAITING_STATES and not task.slot
        ]
        if pending and service.replicas is not None:
            lines.append(f"{service.name}: tasks waiting for a slot: {len(pending)} ({pending[0].message})")
    return lines


def _name(node: Node) -> str:
    return node.labels.get(SERVER, node.hostname)
