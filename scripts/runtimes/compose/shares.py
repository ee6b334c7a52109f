"""The share of its slot that a worker gets beside the one it replaces: a small one while it starts, then an equal one.

Docker has every container in a control group of its own, and the kernel divides a core equally among those that want
it, whatever the priorities of the processes in them: a worker that starts would take half of the core from the one
that serves.
"""

from functools import cache

from scripts.base.console import warn
from scripts.base.errors import CommandError
from scripts.host import docker
from scripts.runtimes.compose.containers import containers
from scripts.runtimes.run_directory import RunDir

# What a container has by default, by the version of cgroup: Docker cannot be told to go back to that. It makes of the
# second one the weight 100.
WHOLE = {"1": 1024, "2": 2598}
# So many times smaller is the share of a worker that starts. With a pool of one, 80% of the load is answered meanwhile;
# less would starve it on a machine that is busy with other things, until gunicorn takes it for frozen.
STARTING_PART = 4


def lower(run: RunDir, worker: str) -> None:
    """Give a worker that starts a small share."""
    _update(run, {worker}, whole() // STARTING_PART)


def restore(run: RunDir, *workers: str) -> None:
    """Give workers the share of all others."""
    _update(run, set(workers), whole())


@cache
def whole() -> int:
    """Return the CPU shares of a worker that serves."""
    return WHOLE.get(docker.run(["info", "--format", "{{.CgroupVersion}}"]).strip(), WHOLE["1"])


def _update(run: RunDir, workers: set[str], shares: int) -> None:
    ids = [one.id for one in containers(run) if one.service in workers]
    try:
        if ids:
            docker.run(["update", "--cpu-shares", str(shares), *ids])
    except CommandError as error:  # an engine that cannot: the change goes on, and the queue may fill meanwhile
        for line in error.lines:
            warn(line)
