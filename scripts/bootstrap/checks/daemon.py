"""Docker's daemon.json: whether it can be read, and its text with this server's slots."""

import json
from typing import Any

from scripts.base.errors import CommandError
from scripts.bootstrap import places
from scripts.runtimes.swarm.nodes import RESOURCE_KIND, SLOT_KEYS

NVIDIA = "nvidia"
RUNTIME = {NVIDIA: {"path": "nvidia-container-runtime"}}


def daemon_text(current: str, slots: dict[str, Any], nvidia: bool) -> str:
    """Return the text of daemon.json: `current` with this server's slots; other entries stay.

    The label tells `make up` what the slots were made from. Raise CommandError if `current` is no JSON.
    """
    found = read_daemon(current)
    ours = {
        "node-generic-resources": [f"{RESOURCE_KIND}={name}" for name in slots["slots"]],
        "labels": [f"{SLOT_KEYS}={json.dumps(slots['asked'])}"],
    }
    wanted = found | {key: _replaced(found.get(key, []), entries) for key, entries in ours.items()}
    if nvidia:
        wanted["runtimes"] = RUNTIME | found.get("runtimes", {})
        wanted["default-runtime"] = NVIDIA
    return current if wanted == found else json.dumps(wanted, indent=4)


def read_daemon(text: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise CommandError(f"found {places.DAEMON_JSON}, which cannot be read as JSON ({error}): repair it") from error
    return found


def _replaced(found: list[str], entries: list[str]) -> list[str]:
    """Return the entries of others, then ours in place of what we wrote before."""
    name = entries[0].partition("=")[0] if entries else ""
    return [*(each for each in found if each.partition("=")[0] != name), *entries]
