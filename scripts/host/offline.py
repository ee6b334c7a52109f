"""The variables that keep libraries offline: the kit's list, overridden by the file that init-server.sh writes."""

from pathlib import Path

from scripts.base.errors import CommandError
from worker.contract.files import read_variables
from worker.contract.settings import offline_variables

SERVER = Path("/etc/wanwu/offline.env")


def variables(server: Path = SERVER) -> dict[str, str]:
    """Return the environment variables that workers on this server start with.

    Raise CommandError if the file `server` is not a list of NAME=value.
    """
    return offline_variables() | (_read(server) if server.is_file() else {})


def _read(file: Path) -> dict[str, str]:
    try:
        return read_variables(file)
    except ValueError as error:
        raise CommandError(
            f"{file}: found {str(error)!r}, needed NAME=value: run scripts/init-server.sh again, which writes the file"
        ) from error
