"""Wait until every worker is in rotation, and report each change of state meanwhile."""

import time
from collections.abc import Callable, Collection
from typing import Any

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.base.waiting import wait_until
from scripts.runtimes.deployment import Deployment

READY_TIMEOUT_S = 300  # for a large network on the torch engine; a converted one takes two
PROCESS_CHECK_INTERVAL_S = 1.0  # between searches for dead processes, which cost more than a request to the gateway


def wait_in_rotation(deployment: Deployment, check_processes: Callable[[], None], names: Collection[str] = ()) -> None:
    """Return once the gateway lists exactly the plan's workers and those in `names` are in rotation (if empty, all).

    Raise CommandError if one of them is broken, if `check_processes` raises it, or after READY_TIMEOUT_S seconds.
    """
    planned = {worker.name for worker in deployment.plan.workers}
    awaited = set(names) or planned
    states: dict[str, str] = {}
    next_check = time.monotonic() + PROCESS_CHECK_INTERVAL_S

    def are_in_rotation() -> bool:
        nonlocal next_check
        reports = _reports(deployment)
        for name, report in reports.items():
            if name in awaited and report["state"] != states.get(name):
                states[name] = report["state"]
                say(f"   {name} {states[name]}")
            if name in awaited and report["state"] == "broken":
                raise CommandError(f"{name} is broken: {report['reason']}")
        if reports.keys() == planned and all(reports[name]["in"] for name in awaited):
            return True
        if time.monotonic() >= next_check:
            check_processes()
            next_check = time.monotonic() + PROCESS_CHECK_INTERVAL_S
        return False

    if not wait_until(are_in_rotation, READY_TIMEOUT_S):
        missing = ", ".join(name for name in sorted(awaited) if states.get(name) != "ready")
        missing = missing or "the gateway"
        raise CommandError(f"not in rotation after {READY_TIMEOUT_S} seconds: {missing}; see `make logs`")


def _reports(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """Return worker name -> its entry in the gateway's status; empty while the gateway does not answer."""
    _, status = get(f"{deployment.endpoint}/status", key=deployment.key)
    return {report["worker"]: report for report in status.get("workers", [])}
