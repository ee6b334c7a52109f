"""Checks of `make doctor` for the runtimes on one machine: each returns its finding or raises CommandError."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.base.errors import CommandError
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.preflight import memory_faults, port_faults


def check_capacity(deployment: Deployment, ports: Sequence[int], running: bool) -> str:
    """Check that the memory suffices and, unless the service is `running`, that its `ports` are free."""
    faults = memory_faults(deployment.plan, deployment.hardware, deployment.models, deployment.cluster.settings)
    if faults := faults + ([] if running else port_faults(ports)):
        raise CommandError(*faults)
    consecutive = len(ports) > 1 and ports[-1] - ports[0] == len(ports) - 1
    numbers = f"{ports[0]} to {ports[-1]}" if consecutive else " and ".join(map(str, ports))
    ports_text = f"port{'' if len(ports) == 1 else 's'} {numbers}"
    return f"enough memory, {ports_text} {'in use by this service' if running else 'free'}"


def check_writable(folders: Mapping[Path, str]) -> str:
    """Check, by a try that leaves nothing, that each of `folders` (path -> remedy if not) can be made or written."""
    for folder, remedy in folders.items():
        nearest = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        try:
            TemporaryDirectory(dir=nearest, prefix=".wanwu-").cleanup()
        except OSError as error:
            raise CommandError(
                f"{nearest}: {error.strerror}: needed a folder that can be written, for {folder}: {remedy}"
            ) from error
    return f"{' and '.join(map(str, folders))} can be written"
