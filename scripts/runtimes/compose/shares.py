"""The CPU shares of containers: what serves has more of a core than what starts, is built, or runs beside it.

Docker has every container in a control group of its own, and the kernel divides a core by their shares among those
that want it, whatever the priorities of the processes in them. Equal ones would give half of a core to a worker that
starts, and as much to the build of the next image.
"""

from scripts.base.console import warn
from scripts.base.errors import CommandError
from scripts.host import docker
from scripts.runtimes.compose.containers import containers
from scripts.runtimes.run_directory import RunDir

# Eight times what Docker gives a container, and the steps of a build, by default (1024). compose.yaml gives it to the
# gateway, and worker.yaml a quarter to a worker, until it is ready. Less would starve one that starts on a machine that
# is busy with other things, until gunicorn takes it for frozen.
SERVING = 8192


def serve(run: RunDir, *services: str) -> None:
    """Give the containers of `services`, or all without any, the share of what serves."""
    ids = [one.id for one in containers(run) if not services or one.service in services]
    try:
        if ids:
            docker.run(["update", "--cpu-shares", str(SERVING), *ids])
    except CommandError as error:  # an engine that cannot: the change goes on, and the queue may fill meanwhile
        for line in error.lines:
            warn(line)
