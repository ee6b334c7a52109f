"""systemd on this machine: whether it runs it, its units, and what is mounted where."""

import os
import re
import subprocess
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.base.programs import search_path

RUNNING = Path("/run/systemd/system")  # exists while systemd runs this machine, as sd_booted(3) says
OCTAL = re.compile(r"\\([0-7]{3})")  # how /proc writes a space, and other bytes


def fault() -> str | None:
    """Return why systemd starts nothing for this account at boot; None if it can."""
    if not RUNNING.is_dir():
        return "this machine does not run systemd"
    return None if os.geteuid() == 0 else "only root can have systemd start it"


def version() -> int:
    found = re.match(r"systemd (\d+)", _run("--version").stdout)
    return int(found[1]) if found else 0


def shown(unit: str, name: str) -> str:
    """Return a property of a unit; nothing if there is no such unit."""
    return _run("show", "--value", f"--property={name}", unit).stdout.strip()


def require(*arguments: str) -> None:
    """Run `systemctl ARGUMENTS`; raise CommandError if it fails."""
    result = _run(*arguments)
    if result.returncode:
        reason = (result.stderr.strip() or f"exit status {result.returncode}").splitlines()[0]
        raise CommandError(f"`systemctl {' '.join(arguments)}` failed: {reason}: see `journalctl -xe`, or set BOOT=0")


def mount_points() -> set[Path]:
    lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    return {Path(OCTAL.sub(lambda octal: chr(int(octal[1], 8)), line.split()[4])) for line in lines}


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PATH": search_path(), "LC_ALL": "C.UTF-8"}
    return subprocess.run(["systemctl", *arguments], capture_output=True, text=True, env=environ)
