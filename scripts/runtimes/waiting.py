"""Wait until every worker is in rotation, and report each change of state meanwhile."""

import time
from collections.abc import Callable, Collection
from typing import Any

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.base.waiting import wait_until
from scripts.runtimes.deployment import Deployment

READY_S = 300  # for a large network on the torch engine; a converted one takes two
LOOK_S = 1.0  # between searches for dead processes, which cost more than a request to the gateway


def wait_in(deployment: Deployment, refuse_dead: Callable[[], None], names: Collection[str] = ()) -> None:
    """Return once the gateway lists exactly the plan's workers and those in `names` are in rotation (if empty, all).

    Raise CommandError if one of them is broken, if `refuse_dead` raises it, or after READY_S seconds.
    """
    everyone = {worker.name for worker in deployment.plan.workers}
    awaited = set(names) or everyone
    seen: dict[str, str] = {}
    look_for_dead = time.monotonic() + LOOK_S

    def are_in() -> bool:
        nonlocal look_for_dead
        reports = _reports(deployment)
        for name, report in reports.items():
            if name in awaited and report["state"] != seen.get(name):
                seen[name] = report["state"]
                say(f"   {name} {seen[name]}")
            if name in awaited and report["state"] == "broken":
                raise CommandError(f"{name} is broken: {report['reason']}")
        if reports.keys() == everyone and all(reports[name]["in"] for name in awaited):
            return True
        if time.monotonic() >= look_for_dead:
            refuse_dead()
            look_for_dead = time.monotonic() + LOOK_S
        return False

    if not wait_until(are_in, READY_S):
        missing = ", ".join(name for name in sorted(awaited) if seen.get(name) != "ready")
        raise CommandError(f"not in rotation after {READY_S} seconds: {missing or 'the gateway'}; see `make logs`")


def _reports(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """Return worker name -> its entry in the gateway's status; empty while the gateway does not answer."""
    _, status = get(f"{deployment.endpoint}/status")
    return {report["worker"]: report for report in status.get("workers", [])}
