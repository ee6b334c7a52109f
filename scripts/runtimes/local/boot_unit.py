"""The unit by which systemd starts and stops the local runtime's service.

`python3 -m scripts.runtimes.local.boot_unit RUN_DIR` stops the service, as the unit has it.
"""

import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.base.waiting import wait_until
from scripts.cluster.config import ROOT
from scripts.host import systemd
from scripts.render.common import stop_timeout_s
from scripts.render.gateway import gateway_bytes
from scripts.render.unit import Service, unit
from scripts.runtimes import unit_file
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.local import orphans, supervisor
from scripts.runtimes.local.accounts import prefix, process_limit, service_account
from scripts.runtimes.preflight import memory_limit
from scripts.runtimes.run_directory import RunDir

MODULE = "scripts.runtimes.local.boot_unit"
GATEWAY_STOP_S = 45  # for Nginx's requests in flight, stopwaitsecs in supervisord.conf, and the gate


def text(
    deployment: Deployment,
    visible: Collection[Path],
    environ: Mapping[str, str],
    check: Sequence[str | Path],
    python: Path,
    directory: Path,
) -> str:
    """Return the unit that starts the service, with `environ` in `directory`, once the command `check` succeeds.

    `visible` are the folders that its processes need, and `python` is theirs.
    """
    run, cluster = deployment.run, deployment.cluster
    workers = [memory_limit(deployment.models[worker.model], cluster.settings) for worker in deployment.plan.workers]
    start = prefix(service_account(), visible, [cluster.port], len(workers))
    return unit(
        Service(
            run=run.path,
            check=[*start, *check],
            command=[*start, *supervisor.command(run, python), "--nodaemon", "--silent"],
            stop=["/usr/bin/env", f"--chdir={ROOT}", sys.executable, "-m", MODULE, run.path],
            stop_s=GATEWAY_STOP_S + stop_timeout_s(cluster),
            directory=directory,
            environment={**environ, **orphans.mark_of_unit()},
            needed={*visible, *(model.folder.resolve() for model in cluster.models)},
            mounts=systemd.mount_points(),
            # Beside each worker that is replaced there is a new one for a while.
            memory_bytes=2 * sum(workers) + gateway_bytes(cluster)[1],
            processes=process_limit(len(workers)),
            gpus=bool(deployment.hardware.gpus),
            systemd=systemd.version(),
        )
    )


def start(run: RunDir) -> None:
    """Start the unit; raise CommandError if no supervisord runs soon."""
    systemd.require("restart", unit_file.unit_name(run))
    if not wait_until(lambda: supervisor.is_running(run), supervisor.START_TIMEOUT_S):
        raise CommandError(f"supervisord did not start: see `journalctl -u {unit_file.unit_name(run)}`")


if __name__ == "__main__":
    # All workers stop at once, where supervisord, when it gets a signal, would take one after the other.
    supervisor.stop(RunDir(Path(sys.argv[1])))
