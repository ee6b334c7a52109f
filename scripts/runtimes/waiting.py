"""Wait until every worker is in rotation, and report each change of state meanwhile."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.base.waiting import wait_until
from scripts.cluster.config import Cluster
from scripts.cluster.keys import own_key

READY_TIMEOUT_S = 900  # for a large network on the torch engine, on a busy machine; a converted one takes two
SWITCH_TIMEOUT_S = 180  # the gate reads its list at once, but lets some seconds pass between two reloads of Nginx
ANSWER_TIMEOUT_S = 60  # of a gateway that a killed command has just started
STATUS_TIMEOUT_S = 20  # of one status request; without an answer no worker counts as ready
POLL_INTERVAL_S = 0.25  # between two looks, which take processor time from the workers that start
PROCESS_CHECK_INTERVAL_S = 1.0  # between searches for dead processes, which cost more than a request to the gateway


@dataclass(frozen=True)
class Gateway:
    """How commands ask a service's gateway."""

    endpoint: str
    key: str

    def status(self) -> dict[str, Any]:
        """Return the gateway's status; empty if it does not answer."""
        code, status = get(f"{self.endpoint}/status", STATUS_TIMEOUT_S, self.key)
        return status if code == 200 else {}


def gateway_of(cluster: Cluster) -> Gateway:
    return Gateway(cluster.endpoint, own_key(cluster))


def answering(clusters: Sequence[Cluster], timeout_s: float = ANSWER_TIMEOUT_S) -> Cluster:
    """Return the first of `clusters` whose gateway answers; the last one if none does within `timeout_s` seconds."""
    gateways: dict[Gateway, Cluster] = {}
    for cluster in clusters:
        gateways.setdefault(gateway_of(cluster), cluster)
    found: list[Cluster] = []

    def answers() -> bool:
        found.extend(cluster for gateway, cluster in gateways.items() if gateway.status())
        return bool(found)

    if len(gateways) > 1 and not wait_until(answers, timeout_s):
        return clusters[-1]
    return found[0] if found else clusters[0]


def wait_in_rotation(
    gateway: Gateway,
    listed: Collection[str],
    check_processes: Callable[[], None],
    names: Collection[str] = (),
    when_ready: Callable[[str], None] = lambda name: None,
) -> None:
    """Return once `gateway` lists exactly `listed` and those in `names` are in rotation (if empty, all).

    Call `when_ready` with each of them that becomes ready, which is a moment before the gateway sends it requests.

    Raise CommandError if one of them is broken, if `check_processes` raises it, or after READY_TIMEOUT_S seconds.
    """
    awaited = set(names) or set(listed)
    states: dict[str, str] = {}
    next_check = time.monotonic() + PROCESS_CHECK_INTERVAL_S

    def are_in_rotation() -> bool:
        nonlocal next_check
        reports = {report["worker"]: report for report in gateway.status().get("workers", [])}
        for name, report in reports.items():
            if name in awaited and report["state"] != states.get(name):
                states[name] = report["state"]
                say(f"   {name} {states[name]}")
                if report["state"] == "ready":
                    when_ready(name)
            if name in awaited and report["state"] == "broken":
                raise CommandError(f"{name} is broken: {report['reason']}")
        if reports.keys() == set(listed) and all(reports[name]["in"] for name in awaited):
            return True
        if time.monotonic() >= next_check:
            check_processes()
            next_check = time.monotonic() + PROCESS_CHECK_INTERVAL_S
        return False

    if not wait_until(are_in_rotation, READY_TIMEOUT_S, POLL_INTERVAL_S):
        missing = ", ".join(name for name in sorted(awaited) if states.get(name) != "ready")
        missing = missing or "the gateway"
        raise CommandError(f"not in rotation after {READY_TIMEOUT_S} seconds: {missing}; see `make logs`")


def wait_listed(gateway: Gateway, listed: Collection[str]) -> None:
    """Return once `gateway` lists exactly `listed`, and the Nginx that takes new requests sends none to other workers.

    Raise CommandError after SWITCH_TIMEOUT_S seconds.
    """
    known: set[str] = set()

    def is_listed() -> bool:
        nonlocal known
        status = gateway.status()
        known = {report["worker"] for report in status.get("workers", [])} | set(status.get("leaving", []))
        return known == set(listed)

    if not wait_until(is_listed, SWITCH_TIMEOUT_S, POLL_INTERVAL_S):
        raise CommandError(
            f"{gateway.endpoint}: found {', '.join(sorted(known)) or 'no answer'} after {SWITCH_TIMEOUT_S} seconds, "
            f"needed requests to go to {', '.join(sorted(listed))} alone: see `make logs`"
        )
