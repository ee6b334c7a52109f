"""What a bundle brings: its kit's folder, and the port that cluster.toml sets for the gateway."""

import re
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.bootstrap import places
from scripts.bootstrap.checks.machine import SWARM_PORTS

DIRTY = "-dirty"
OLDER = "found a bundle of "  # the note of an older one begins with this


def kit_folder(revision: str, archive_sum: str) -> Path:
    """Return the folder of a kit: after its revision, and its content if that differs from the revision."""
    if not re.fullmatch(rf"[0-9A-Za-z]+({DIRTY})?", revision):
        revision = archive_sum
    name = f"kit-{revision[:12]}"
    return places.KITS / (f"{name}{DIRTY}-{archive_sum[:8]}" if revision.endswith(DIRTY) else name)


def age_note(created: str, serving: str) -> str:
    """Return what the operator should know if the bundle was made before the one whose kit serves; "" if not.

    The signature of an old bundle stays valid: whoever hands it over again brings back the faults that were known.
    """
    if not serving or created >= serving:
        return ""
    return (
        f"{OLDER}{created}, older than that of {serving} whose kit serves here: this goes back to it; "
        "with the newer bundle, run this again to return"
    )


def check_port(port: int, source: str) -> int:
    """Return the gateway's port, which the file `source` sets."""
    if ("tcp", port) in SWARM_PORTS:
        raise CommandError(f"{source}: port: found {port}, which Docker Swarm uses: choose another")
    return port
