"""The slot that Docker Swarm gives a task: the task learns its name, and the server's own file says what it is."""

import json
from collections.abc import Mapping
from pathlib import Path

from worker.contract.settings import SETTINGS, to_env

GIVEN = "DOCKER_RESOURCE_SLOT"  # what Swarm calls the named generic resource `slot` that it has reserved
SLOTS = "/etc/wanwu/slots.json"
REMEDY = "run scripts/init-server.sh on this server"


class SlotError(Exception):
    """The slot is not what this machine has."""


def assigned(environ: Mapping[str, str], file: Path = Path(SLOTS)) -> dict[str, str]:
    """Return the settings' variables of the slot that Swarm gave; none where it gave none.

    Raise SlotError when this server's `file` of slots does not know it.
    """
    name = environ.get(GIVEN, "")
    if not name:
        return {}
    slot = _slot(file, name)
    model = environ.get(SETTINGS["model"].variable, "")
    return to_env(slot=name, cpus=slot["cpus"], gpu=slot["gpu"], worker=f"{model}-{name}")


def _slot(file: Path, name: str) -> Mapping[str, str]:
    try:
        slots = json.loads(file.read_text(encoding="utf-8"))["slots"]
        known = {str(key): {"cpus": str(slot["cpus"]), "gpu": str(slot["gpu"])} for key, slot in slots.items()}
    except OSError as error:
        raise SlotError(f"{file}: {error.strerror}: needed this server's slots: {REMEDY}") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise SlotError(f"{file}: cannot be read as a list of slots: {error!r}: {REMEDY}") from error
    if name not in known:
        listed = ", ".join(known) or "none"
        raise SlotError(f"{file}: found the slots {listed}, needed {name}, which Swarm gave this worker: {REMEDY}")
    return known[name]
