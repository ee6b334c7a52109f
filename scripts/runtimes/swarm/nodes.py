"""Docker Swarm's nodes, services and tasks, parsed from the engine's JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scripts.runtimes.swarm import consensus

STACK = "wanwu"
STACK_LABEL = "com.docker.stack.namespace"
RESOURCE_KIND = "slot"  # kind of the named generic resource in every server's daemon.json
SERVER = "wanwu.server"  # node label: the server's name in cluster.toml
GATEWAY = "wanwu.gateway"  # node label: whether the node runs a gateway
SLOT_KEYS = "wanwu.slots"  # engine label: the keys of cluster.toml that its slots were created from, as JSON


@dataclass(frozen=True)
class Node:
    """A node of the swarm; `slots` are those that its daemon offers, in natural order, created from `slot_keys`."""

    id: str
    hostname: str
    address: str
    ready: bool
    active: bool  # neither drained nor paused
    manager: bool
    labels: Mapping[str, str]
    slots: tuple[str, ...]
    slot_keys: Mapping[str, Any] = field(default_factory=dict)  # see scripts.cluster.slots.requested_settings
    reachable: bool = False  # as a manager, by the other managers
    votes: bool = False  # counts among the managers, of which more than half must run; for a moment after its demotion


@dataclass(frozen=True)
class Task:
    """A task of the stack; `slot` is "" until Swarm assigns one; `spec` is what the task was made from."""

    id: str
    service: str  # id
    node: str  # id, "" until Swarm assigns one
    number: int
    slot: str
    state: str
    desired_state: str
    message: str  # Swarm's reason for the state
    spec: Mapping[str, Any]
    created: str = ""  # when, by the clock of the manager that led then, as all times here

    @property
    def running(self) -> bool:
        return self.state == self.desired_state == "running"

    @property
    def waiting(self) -> bool:
        """Whether it is to run as soon as there is a slot for it."""
        return (self.state, self.desired_state, self.node) == ("pending", "running", "")


@dataclass(frozen=True)
class Service:
    """A service of the stack; `replicas` is None for a global service, which has a task on every node."""

    id: str
    name: str
    replicas: int | None
    spec: Mapping[str, Any]  # what its tasks are made from
    image: str
    update: str  # state of the last update, "" if there was none
    updated: str  # start of the last update
    message: str
    changed: str = ""  # when anything of it did last
    revertible: bool = False  # whether what Swarm keeps of before the last update is another service


def read_nodes() -> list[Node]:
    """Return all nodes, sorted by host name; raise CommandError if docker fails."""
    ids = consensus.run(["node", "ls", "--quiet"]).split()
    return sorted(map(parse_node, consensus.inspect("node", ids)), key=lambda one: one.hostname)


def read_services(stack: str = STACK) -> list[Service]:
    ids = consensus.run(["service", "ls", "--quiet", "--filter", f"label={STACK_LABEL}={stack}"]).split()
    return sorted(map(parse_service, consensus.inspect("service", ids) if ids else []), key=lambda one: one.name)


def read_tasks(services: Iterable[Service]) -> list[Task]:
    """Return every task of `services` that Swarm still remembers, newest first."""
    names = [one.id for one in services]
    ids = consensus.run(["service", "ps", "--quiet", "--no-trunc", *names]).split() if names else []
    tasks = map(parse_task, consensus.inspect("task", ids) if ids else [])
    return sorted(tasks, key=lambda one: one.created, reverse=True)


def parse_node(data: Mapping[str, Any]) -> Node:
    spec, status, description = data["Spec"], data["Status"], data["Description"]
    resources = description["Resources"].get("GenericResources") or []
    return Node(
        data["ID"],
        description["Hostname"],
        status.get("Addr", ""),
        status["State"] == "ready",
        spec["Availability"] == "active",
        spec["Role"] == "manager",
        spec.get("Labels") or {},
        tuple(sorted(_slots(resources), key=_natural_order)),
        _read_slot_keys((description.get("Engine", {}).get("Labels") or {}).get(SLOT_KEYS, "{}")),
        (data.get("ManagerStatus") or {}).get("Reachability") == "reachable",
        bool(data.get("ManagerStatus")),
    )


def parse_task(data: Mapping[str, Any]) -> Task:
    status = data["Status"]
    return Task(
        data["ID"],
        data["ServiceID"],
        data.get("NodeID", ""),
        data.get("Slot", 0),
        next(_slots(data.get("AssignedGenericResources") or data.get("GenericResources") or []), ""),
        status["State"],
        data["DesiredState"],
        status.get("Err") or status.get("Message", ""),
        comparable(data["Spec"]),
        str(data.get("CreatedAt", "")),
    )


def parse_service(data: Mapping[str, Any]) -> Service:
    spec, update = data["Spec"], data.get("UpdateStatus") or {}
    template = spec["TaskTemplate"]
    return Service(
        data["ID"],
        spec["Name"],
        (spec["Mode"].get("Replicated") or {}).get("Replicas"),
        comparable(template),
        template["ContainerSpec"]["Image"],
        update.get("State", ""),
        update.get("StartedAt", ""),
        update.get("Message", ""),
        str(data.get("UpdatedAt", "")),
        "PreviousSpec" in data and _lasting(data["PreviousSpec"]) != _lasting(spec),
    )


def _lasting(spec: Mapping[str, Any]) -> Any:
    """Return what a service is, but for the number of its tasks and for how often they were replaced by equal ones."""
    template = {key: value for key, value in spec["TaskTemplate"].items() if key != "ForceUpdate"}
    return comparable({**spec, "TaskTemplate": template, "Mode": None})


def comparable(spec: Any) -> Any:
    """Return `spec` without empty values and defaults, which a service states and a task omits, to compare the two."""
    if not isinstance(spec, dict):
        return spec
    values = {key: comparable(value) for key, value in spec.items() if key != "Runtime"}
    return {key: value for key, value in values.items() if value not in (None, {}, [])}


def _read_slot_keys(label: str) -> dict[str, Any]:
    try:
        return dict(json.loads(label))
    except (ValueError, TypeError):  # another label of the same name
        return {}


def _slots(resources: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    named = (resource.get("NamedResourceSpec") or {} for resource in resources)
    return (str(one["Value"]) for one in named if one.get("Kind") == RESOURCE_KIND)


def _natural_order(slot: str) -> tuple[str, int, str]:
    """Return a sort key that puts a-cpu2 before a-cpu10."""
    digits = len(slot) - len(slot.rstrip("0123456789"))
    return slot[: len(slot) - digits], int(slot[len(slot) - digits :] or 0), slot
