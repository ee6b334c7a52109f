"""Replace the workers of a running service one at a time, for the runtimes on one machine."""

from collections.abc import Callable

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.runtimes.deployment import Deployment


def replace_each(deployment: Deployment, replace: Callable[[str], None], wait: Callable[[], None]) -> None:
    """Call `replace` with the name of each worker, and after each `wait`, which returns once all are in rotation.

    Never more than one worker is out of rotation. A worker that is out already comes first, so that an aborted rollout
    can be finished once its cause is gone. Raise CommandError if more than one is out, or if `wait` raises it.
    """
    out, workers = out_of_rotation(deployment), deployment.plan.workers
    if len(out) > 1:
        raise CommandError(
            f"found {len(workers) - len(out)} of {len(workers)} workers in rotation, needed {len(workers) - 1}: "
            f"{', '.join(out)} must be in rotation before others are replaced; see `make logs`"
        )
    for worker in sorted(workers, key=lambda worker: worker.name not in out):
        step(f"replacing {worker.name}")
        replace(worker.name)
        wait()


def out_of_rotation(deployment: Deployment) -> list[str]:
    """Return the workers of the plan that are out of rotation by the gateway's own status."""
    _, status = get(f"{deployment.endpoint}/status", key=deployment.key)
    in_rotation = {report["worker"] for report in status.get("workers", []) if report["in"]}
    return [worker.name for worker in deployment.plan.workers if worker.name not in in_rotation]
