"""The systemd unit of a run directory, which starts its service at boot: written, enabled, taken away."""

import hashlib
import os
from pathlib import Path

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.host import systemd
from scripts.runtimes.run_directory import RunDir
from worker.contract.files import write_atomically

UNITS = Path("/etc/systemd/system")


def unit_name(run: RunDir) -> str:
    """Return the name of the unit, different for each run directory, so that several services can run at once."""
    return f"wanwu-{hashlib.sha256(os.fsencode(run.path)).hexdigest()[:8]}.service"


def is_installed(run: RunDir) -> bool:
    return systemd.RUNNING.is_dir() and _file(run).exists()


def is_enabled(run: RunDir) -> bool:
    return is_installed(run) and systemd.shown(unit_name(run), "UnitFileState") == "enabled"


def enable(run: RunDir, text: str) -> None:
    """Have systemd start the unit `text` at boot; raise CommandError if that fails."""
    write(run, text)
    systemd.require("enable", unit_name(run))


def write(run: RunDir, text: str) -> None:
    """Write the unit, if it has changed, and have systemd read it; raise CommandError if that fails."""
    path = _file(run)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    try:
        write_atomically(path, text)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}: needed to write there, or BOOT=0") from error
    systemd.require("daemon-reload")


def leave(run: RunDir) -> None:
    """Have systemd start the service no more at boot; it runs on."""
    if is_enabled(run):
        step("the service no longer starts at boot")
        systemd.require("disable", unit_name(run))


def stop(run: RunDir) -> None:
    """Stop the unit if it runs, as its ExecStop says."""
    if is_installed(run):
        systemd.require("stop", unit_name(run))


def remove(run: RunDir) -> None:
    """Take away the unit, which runs no more."""
    if is_installed(run):
        systemd.require("disable", unit_name(run))
        _file(run).unlink()
        systemd.require("daemon-reload")


def _file(run: RunDir) -> Path:
    return UNITS / unit_name(run)
