"""What Docker Swarm says of its nodes and of our tasks: JSON in, plain data out."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scripts.host import docker

STACK = "wanwu"
STACK_LABEL = "com.docker.stack.namespace"
KIND = "slot"  # of named generic resource, in every server's daemon.json
SERVER = "wanwu.server"  # label of a node: the name that cluster.toml gives it
GATEWAY = "wanwu.gateway"  # label of a node: a gateway stands there
ASKED = "wanwu.slots"  # label of an engine: what cluster.toml asked of its slots when they were made, as JSON


@dataclass(frozen=True)
class Node:
    """One machine of the swarm; `slots` are those its daemon offers, in their order."""

    id: str
    hostname: str
    address: str
    ready: bool
    active: bool  # neither drained nor paused
    manager: bool
    labels: Mapping[str, str]
    slots: tuple[str, ...]
    asked: Mapping[str, Any] = field(default_factory=dict)  # what they were made from: see scripts.slots.asked


@dataclass(frozen=True)
class Task:
    """One task of the stack: `slot` is the one it was given, "" for none yet; `spec` is what it was made from."""

    id: str
    service: str  # id
    node: str  # id, "" while it waits for one
    number: int
    slot: str
    state: str
    wanted: str
    said: str  # why it is in its state, as far as Swarm knows
    spec: Mapping[str, Any]

    @property
    def running(self) -> bool:
        return self.state == self.wanted == "running"


@dataclass(frozen=True)
class Service:
    """One service of the stack; `replicas` is None for one that stands on every node."""

    id: str
    name: str
    replicas: int | None
    spec: Mapping[str, Any]  # of its tasks
    image: str
    update: str  # the state of its last update, "" for none
    updated: str  # when that began
    said: str


def read_nodes() -> list[Node]:
    """All nodes, by their host names; raises CommandError."""
    ids = docker.run(["node", "ls", "--quiet"]).split()
    return sorted(map(node, docker.inspect("node", ids)), key=lambda one: one.hostname)


def read_services(stack: str = STACK) -> list[Service]:
    ids = docker.run(["service", "ls", "--quiet", "--filter", f"label={STACK_LABEL}={stack}"]).split()
    return sorted(map(service, docker.inspect("service", ids) if ids else []), key=lambda one: one.name)


def read_tasks(services: Iterable[Service]) -> list[Task]:
    """Every task of the services that Swarm still remembers, the newest first."""
    names = [one.id for one in services]
    ids = docker.run(["service", "ps", "--quiet", "--no-trunc", *names]).split() if names else []
    found = docker.inspect("task", ids) if ids else []
    return [task(one) for one in sorted(found, key=lambda one: str(one["CreatedAt"]), reverse=True)]


def node(found: Mapping[str, Any]) -> Node:
    spec, status, description = found["Spec"], found["Status"], found["Description"]
    resources = description["Resources"].get("GenericResources") or []
    return Node(
        found["ID"],
        description["Hostname"],
        status.get("Addr", ""),
        status["State"] == "ready",
        spec["Availability"] == "active",
        spec["Role"] == "manager",
        spec.get("Labels") or {},
        tuple(sorted(_slots(resources), key=_in_order)),
        _asked((description.get("Engine", {}).get("Labels") or {}).get(ASKED, "{}")),
    )


def task(found: Mapping[str, Any]) -> Task:
    status = found["Status"]
    return Task(
        found["ID"],
        found["ServiceID"],
        found.get("NodeID", ""),
        found.get("Slot", 0),
        next(_slots(found.get("AssignedGenericResources") or found.get("GenericResources") or []), ""),
        status["State"],
        found["DesiredState"],
        status.get("Err") or status.get("Message", ""),
        comparable(found["Spec"]),
    )


def service(found: Mapping[str, Any]) -> Service:
    spec, update = found["Spec"], found.get("UpdateStatus") or {}
    template = spec["TaskTemplate"]
    return Service(
        found["ID"],
        spec["Name"],
        (spec["Mode"].get("Replicated") or {}).get("Replicas"),
        comparable(template),
        template["ContainerSpec"]["Image"],
        update.get("State", ""),
        update.get("StartedAt", ""),
        update.get("Message", ""),
    )


def comparable(spec: Any) -> Any:
    """What a task is made from, spelled alike for tasks and services: a service also names what is empty or usual."""
    if not isinstance(spec, dict):
        return spec
    values = {key: comparable(value) for key, value in spec.items() if key != "Runtime"}
    return {key: value for key, value in values.items() if value not in (None, {}, [])}


def _asked(label: str) -> dict[str, Any]:
    try:
        return dict(json.loads(label))
    except (ValueError, TypeError):  # a person's own label
        return {}


def _slots(resources: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    named = (resource.get("NamedResourceSpec") or {} for resource in resources)
    return (str(one["Value"]) for one in named if one.get("Kind") == KIND)


def _in_order(slot: str) -> tuple[str, int, str]:
    """a-cpu2 before a-cpu10."""
    digits = len(slot) - len(slot.rstrip("0123456789"))
    return slot[: len(slot) - digits], int(slot[len(slot) - digits :] or 0), slot
