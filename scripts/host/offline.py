"""What keeps every library offline on this server: the kit's list, and over it what init-server.sh wrote here."""

import re
from pathlib import Path

from scripts.base.errors import Refusal
from worker.contract.settings import offline_variables

SERVER = Path("/etc/wanwu/offline.env")
LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")


def variables(server: Path = SERVER) -> dict[str, str]:
    """The variables that workers on this server are started with; raises Refusal for a file that is no such list."""
    return offline_variables() | (_read(server) if server.is_file() else {})


def _read(file: Path) -> dict[str, str]:
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    found = [(line, LINE.fullmatch(line)) for line in lines]
    if wrong := next((line for line, match in found if match is None), None):
        raise Refusal(
            f"{file}: found {wrong!r}, needed NAME=value: run scripts/init-server.sh again, it writes the file"
        )
    return {match[1]: match[2] for _, match in found if match}
