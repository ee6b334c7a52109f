"""Have systemd run the service, from now on and from boot on, by a unit that scripts/render/unit.py renders.

`python3 -m scripts.runtimes.local.boot_unit RUN_DIR` stops the service, as the unit has it.
"""

import hashlib
import os
import sys
from pathlib import Path

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.base.waiting import wait_until
from scripts.cluster.config import ROOT
from scripts.host import systemd
from scripts.render.unit import Service, unit
from scripts.runtimes.local import supervisor
from scripts.runtimes.run_directory import RunDir

UNITS = Path("/etc/systemd/system")
START_TIMEOUT_S = 60  # for the check before the start, too


def unit_name(run: RunDir) -> str:
    """Return the name of the unit, different for each run directory, so that several services can run at once."""
    return f"wanwu-{hashlib.sha256(os.fsencode(run.path)).hexdigest()[:8]}.service"


def is_installed(run: RunDir) -> bool:
    return systemd.RUNNING.is_dir() and _file(run).exists()


def is_enabled(run: RunDir) -> bool:
    return is_installed(run) and systemd.shown(unit_name(run), "UnitFileState") == "enabled"


def enable(run: RunDir, service: Service) -> None:
    """Have systemd start the service at boot; raise CommandError if that fails."""
    write(run, service)
    systemd.require("enable", unit_name(run))


def write(run: RunDir, service: Service) -> None:
    """Write the unit, if it has changed, and have systemd read it; raise CommandError if that fails."""
    path, text = _file(run), unit(service)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        draft = path.with_name(f".{path.name}.new")
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(path)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}: needed to write there, or BOOT=0") from error
        systemd.require("daemon-reload")


def start(run: RunDir) -> None:
    """Start the unit; raise CommandError if no supervisord runs soon."""
    systemd.require("restart", unit_name(run))
    if not wait_until(lambda: supervisor.is_running(run), START_TIMEOUT_S, 0.05):
        raise CommandError(f"supervisord did not start: see `journalctl -u {unit_name(run)}`")


def stop(run: RunDir) -> None:
    """Stop the unit if it runs, after the requests in flight are answered."""
    if is_installed(run):
        systemd.require("stop", unit_name(run))


def leave(run: RunDir) -> None:
    """Have systemd start the service no more at boot; it runs on."""
    if is_enabled(run):
        step("the service no longer starts at boot")
        systemd.require("disable", unit_name(run))


def remove(run: RunDir) -> None:
    """Take away the unit, which runs no more."""
    if is_installed(run):
        systemd.require("disable", unit_name(run))
        _file(run).unlink()
        systemd.require("daemon-reload")


def stop_command(run: RunDir) -> list[str | Path]:
    """Return the command that stops the service: all workers at once, where supervisord would take one by one."""
    return ["/usr/bin/env", f"--chdir={ROOT}", sys.executable, "-m", "scripts.runtimes.local.boot_unit", run.path]


def _file(run: RunDir) -> Path:
    return UNITS / unit_name(run)


if __name__ == "__main__":
    supervisor.stop(RunDir(Path(sys.argv[1])))
