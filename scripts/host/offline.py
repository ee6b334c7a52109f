"""What keeps every library offline on this server: the kit's list, and over it what init-server.sh wrote here."""

from pathlib import Path

from scripts.base.errors import CommandError
from worker.contract.files import read_variables
from worker.contract.settings import offline_variables

SERVER = Path("/etc/wanwu/offline.env")


def variables(server: Path = SERVER) -> dict[str, str]:
    """The variables that workers on this server are started with.

    Raise CommandError for a file that is no such list.
    """
    return offline_variables() | (_read(server) if server.is_file() else {})


def _read(file: Path) -> dict[str, str]:
    try:
        return read_variables(file)
    except ValueError as error:
        raise CommandError(
            f"{file}: found {str(error)!r}, needed NAME=value: run scripts/init-server.sh again, it writes the file"
        ) from error
