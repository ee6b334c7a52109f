"""Replacing the workers of a running service one at a time, the same in every runtime."""

from collections.abc import Callable

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.runtimes.deployment import Deployment


def replace_each(deployment: Deployment, replace: Callable[[str], None], wait: Callable[[], None]) -> None:
    """`replace` each worker, by name; it drains, and `wait` returns when all are in rotation again.

    One that is out already comes first, so that a rollout that was aborted can be finished once its cause is gone.
    Raises CommandError when more than one is out, or what `wait` raises: fewer than all but one never serve.
    """
    out, workers = out_of_rotation(deployment), deployment.plan.workers
    if len(out) > 1:
        raise CommandError(
            f"found {len(workers) - len(out)} of {len(workers)} workers in rotation, needed {len(workers) - 1}: "
            f"{', '.join(out)} must be in before others are replaced; see `make logs`"
        )
    for worker in sorted(workers, key=lambda worker: worker.name not in out):
        step(f"replacing {worker.name}")
        replace(worker.name)
        wait()


def out_of_rotation(deployment: Deployment) -> list[str]:
    """The workers of the plan that the gateway does not send to, as it says itself."""
    _, status = get(f"{deployment.endpoint}/status")
    working = {report["worker"] for report in status.get("workers", []) if report["in"]}
    return [worker.name for worker in deployment.plan.workers if worker.name not in working]
