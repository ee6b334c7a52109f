"""Replace the gateway's container while clients send requests: the entrance hands its sockets to both for a while."""

import json
from collections.abc import Collection

from scripts.base.console import step, warn
from scripts.base.errors import CommandError
from scripts.base.waiting import wait_until
from scripts.host import docker
from scripts.render.compose import ENTRANCE, GATEWAY, PARTS
from scripts.runtimes.compose.containers import (
    ENDED_STATES,
    Container,
    containers,
    end_of_log,
    remove,
    run_compose,
    watch,
)
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.waiting import READY_TIMEOUT_S, gateway_of, wait_in_rotation


def is_former(run: RunDir) -> bool:
    """Return whether the gateway is one of release 0.1.0, which has no entrance: it holds its port itself."""
    services = {one.service for one in containers(run)}
    return GATEWAY in services and ENTRANCE not in services


def for_former(members: str) -> str:
    """Return the text of members.json as that gateway reads it: without a schema and metrics."""
    document = json.loads(members)
    del document["schema"], document["gateway"]["metrics"]
    return json.dumps(document, indent=1) + "\n"


def put_behind_entrance(deployment: Deployment, force: bool) -> None:
    """Put a gateway behind an entrance in the place of a former one, if `force` allows the gap; else say so."""
    run = deployment.run
    if not is_former(run):
        return
    if not force:
        warn(
            "the gateway stays that of the kit before: `make up FORCE=1` replaces it, without an answer for some "
            "seconds; after that it is replaced without a gap"
        )
        return
    step("replacing the gateway: for some seconds no request is taken")
    remove([one for one in containers(run) if one.service == GATEWAY])
    run_compose(run, "up", "--detach", "--no-deps", *PARTS)
    names = [worker.name for worker in deployment.plan.workers]
    wait_in_rotation(gateway_of(deployment.cluster), names, watch(run, names))


def replace(run: RunDir, workers: Collection[str]) -> None:
    """Replace the gateway if its definition has changed; the new one must find all `workers` in rotation.

    Raise CommandError if it does not become ready; the old one then serves on.
    """
    wanted = run_compose(run, "config", "--hash", GATEWAY).split()[-1]
    old = [one for one in containers(run) if one.service == GATEWAY]
    outdated = [one for one in old if one.config != wanted]
    if len(outdated) == len(old):
        _add(run, old, set(workers))
    remove(outdated)


def _add(run: RunDir, old: Collection[Container], workers: set[str]) -> None:
    step("replacing the gateway: the new one takes requests beside the old one")
    known = {one.id for one in old}
    scale = f"{GATEWAY}={len(old) + 1}"
    try:
        run_compose(run, "up", "--detach", "--no-deps", "--no-recreate", "--scale", scale, GATEWAY)
        _wait_ready(run, known, workers)
    except (CommandError, KeyboardInterrupt):
        remove([one for one in containers(run) if one.service == GATEWAY and one.id not in known])
        raise


def _wait_ready(run: RunDir, known: Collection[str], workers: set[str]) -> None:
    def is_ready() -> bool:
        (new,) = (one for one in containers(run) if one.service == GATEWAY and one.id not in known)
        if new.state in ENDED_STATES:
            raise CommandError("the new gateway exits as soon as it starts; its log ends with:", *end_of_log(new))
        return _in_rotation(new) >= workers

    if not wait_until(is_ready, READY_TIMEOUT_S):
        raise CommandError(
            f"the new gateway: found no status with {', '.join(sorted(workers))} in rotation after {READY_TIMEOUT_S} s"
        )


def _in_rotation(gateway: Container) -> set[str]:
    """Return the workers in rotation by the gateway's own word; none while it is not ready."""
    try:
        healthy = docker.run(["inspect", "--format", "{{.State.Health.Status}}", gateway.id]).strip() == "healthy"
        status = json.loads(docker.run(["exec", gateway.id, "cat", "rendered/status.json"])) if healthy else {}
    except (CommandError, ValueError):
        return set()
    return {worker["worker"] for worker in status.get("workers", []) if worker["in"]}
