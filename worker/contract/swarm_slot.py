"""Look up the slot that Docker Swarm assigns to a task: Swarm passes its name, a file on the server defines it."""

import json
from collections.abc import Mapping
from pathlib import Path

from worker.contract.settings import SETTINGS, to_env

SLOT_VARIABLE = "DOCKER_RESOURCE_SLOT"  # Swarm's variable with the reserved generic resource `slot`
SLOTS_FILE = "/etc/wanwu/slots.json"
REMEDY = "run scripts/init-server.sh on this server"


class SlotError(Exception):
    """This machine does not have the assigned slot."""


def assigned(environ: Mapping[str, str], file: Path = Path(SLOTS_FILE)) -> dict[str, str]:
    """Return the environment variables for the slot that Swarm assigned, {} if it assigned none.

    Raise SlotError if `file`, the list of this server's slots, cannot be read or lacks the slot.
    """
    name = environ.get(SLOT_VARIABLE, "")
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
        raise SlotError(
            f"{file}: found the slots {listed}, needed {name}, which Swarm assigned to this worker: {REMEDY}"
        )
    return known[name]
