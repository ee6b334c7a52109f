"""Start and stop the local runtime's service by its systemd unit.

`python3 -m scripts.runtimes.local.boot_unit RUN_DIR` stops the service, as the unit has it.
"""

import sys
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.base.waiting import wait_until
from scripts.cluster.config import ROOT
from scripts.host import systemd
from scripts.runtimes import unit_file
from scripts.runtimes.local import supervisor
from scripts.runtimes.run_directory import RunDir

START_TIMEOUT_S = 60  # for the check before the start, too


def start(run: RunDir) -> None:
    """Start the unit; raise CommandError if no supervisord runs soon."""
    systemd.require("restart", unit_file.unit_name(run))
    if not wait_until(lambda: supervisor.is_running(run), START_TIMEOUT_S, 0.05):
        raise CommandError(f"supervisord did not start: see `journalctl -u {unit_file.unit_name(run)}`")


def stop_command(run: RunDir) -> list[str | Path]:
    """Return the command that stops the service: all workers at once, where supervisord would take one by one."""
    return ["/usr/bin/env", f"--chdir={ROOT}", sys.executable, "-m", "scripts.runtimes.local.boot_unit", run.path]


if __name__ == "__main__":
    supervisor.stop(RunDir(Path(sys.argv[1])))
