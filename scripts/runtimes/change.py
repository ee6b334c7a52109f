"""Plan a change of a running service: which workers start and stop, and in which steps. Pure.

A worker is never changed: one with another name and address starts on the same slot, and the old one stops. So both can
run at once, and the old one serves on if the new one does not become ready.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Member:
    """A worker in the gate's list, and the text by which its process is started."""

    worker: str
    server: str
    slot: str
    address: str
    model: str
    text: str

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def collides(self, other: "Member") -> bool:
        """Return whether the two are different but cannot run at once."""
        return self != other and (self.worker == other.worker or self.address == other.address)


Members = Mapping[str, Member]  # by worker, in the order of the list


@dataclass(frozen=True)
class Step:
    """Workers that start and stop together; if `beside`, the new ones are in rotation before the old ones stop."""

    starting: tuple[str, ...]
    stopping: tuple[str, ...]
    beside: bool = True


def read_members(text: str, definitions: Mapping[str, str]) -> dict[str, Member]:
    """Return the workers of a members.json; `definitions` start their processes. Empty if it cannot be read."""
    try:
        return {
            member["worker"]: Member(**member, model=pool["model"], text=definitions.get(member["worker"], ""))
            for pool in json.loads(text)["pools"]
            for member in pool["members"]
        }
    except (ValueError, LookupError, TypeError):
        return {}


def render_members(former: str, models: Iterable[str], members: Members) -> str:
    """Return the members.json `former` with `members` in place of its own, and pools in the order of `models`."""
    pools: dict[str, list[dict[str, str]]] = {model: [] for model in models}
    for member in members.values():
        entry = {"worker": member.worker, "server": member.server, "slot": member.slot, "address": member.address}
        pools.setdefault(member.model, []).append(entry)
    listed = [{"model": model, "members": entries} for model, entries in pools.items() if entries]
    document: dict[str, Any] = json.loads(former)
    return json.dumps({**document, "pools": listed}, indent=1) + "\n"


def pool_order(before: Members, after: Members, present: Members) -> list[str]:
    """Return the order of the pools while `present` serve: the first gets requests that name no model.

    That is the old first one as long as it has a worker.
    """
    old, new = models_of(before), models_of(after)
    return [*old, *new] if old and old[0] in models_of(present) else [*new, *old]


def models_of(members: Members) -> list[str]:
    return list(dict.fromkeys(member.model for member in members.values()))


def plan_steps(before: Members, after: Members, room: int) -> list[Step]:
    """Return the steps that turn the workers `before` into those `after`.

    `room` is the number of workers that the free memory has room for. Where there is none, or the new worker needs the
    name or address of the old one, each old one stops before a new one starts.
    """
    starting = [name for name, member in after.items() if before.get(name) != member]
    stopping = [name for name, member in before.items() if after.get(name) != member]
    if not starting:
        return [Step((), tuple(stopping))] if stopping else []
    pairs = _pairs([after[name] for name in starting], [before[name] for name in stopping])
    beside = room > 0 and not any(after[new].collides(before[old]) for new in starting for old in stopping)
    size = room if beside else 1
    batches = [starting[first : first + size] for first in range(0, len(starting), size)]
    steps = [
        Step(tuple(batch), tuple(pairs[name] for name in batch if name in pairs), beside=beside) for batch in batches
    ]
    rest = tuple(name for name in stopping if name not in pairs.values())
    if beside:
        return [*steps[:-1], Step(steps[-1].starting, (*steps[-1].stopping, *rest))]
    return [*steps, *([Step((), rest)] if rest else [])]


def _pairs(starting: Sequence[Member], stopping: Sequence[Member]) -> dict[str, str]:
    """Return which old worker makes room for which new one, by name; the likest first."""
    preferences: tuple[Callable[[Member, Member], bool], ...] = (
        Member.collides,
        lambda new, old: (new.model, new.slot) == (old.model, old.slot),
        lambda new, old: new.model == old.model,
        lambda new, old: True,
    )
    pairs: dict[str, str] = {}
    for matches in preferences:
        for new in starting:
            left = (old for old in stopping if old.worker not in pairs.values() and matches(new, old))
            if new.worker not in pairs and (old := next(left, None)):
                pairs[new.worker] = old.worker
    return pairs


def uncovered_models(before: Members, after: Members, steps: Iterable[Step]) -> list[str]:
    """Return the models that would have no worker for some time, of those that are served before and after.

    The first model answers requests that name none, so either the old first one or the new one has a worker.
    """
    present, missing = dict(before), set[str]()
    lasting = set(models_of(before)) & set(models_of(after))
    first = {*models_of(before)[:1], *models_of(after)[:1]}
    for step in steps:
        started = {name: after[name] for name in step.starting}
        present |= started if step.beside else {}
        present = {name: member for name, member in present.items() if name not in step.stopping}
        served = set(models_of(present))
        missing |= lasting - served | (set() if first & served else first)
        present |= started
    return sorted(missing)
