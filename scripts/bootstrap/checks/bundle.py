"""What a bundle brings: its kit's folder, and the port that cluster.toml sets for the gateway."""

import re
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.bootstrap import places
from scripts.bootstrap.checks.machine import SWARM_PORTS
from scripts.cluster.schema import SCHEMA

PORT_KEY = SCHEMA[""]["port"]
DEFAULT_PORT = int(str(PORT_KEY.default))
DIRTY = "-dirty"


def kit_folder(revision: str, archive_sum: str) -> Path:
    """Return the folder of a kit: after its revision, and its content if that differs from the revision."""
    if not re.fullmatch(rf"[0-9A-Za-z]+({DIRTY})?", revision):
        revision = archive_sum
    name = f"kit-{revision[:12]}"
    return places.KITS / (f"{name}{DIRTY}-{archive_sum[:8]}" if revision.endswith(DIRTY) else name)


def gateway_port(text: str, source: str) -> int:
    """Return the gateway's port in the text of cluster.toml.

    The rest of the file is not judged here: the kit that serves does that, which may be another than this one.
    """
    top = re.split(r"^[ \t]*\[", text, maxsplit=1, flags=re.MULTILINE)[0]
    stated = re.search(r"""^[ \t]*["']?port["']?[ \t]*=[ \t]*([^#\n]*?)[ \t\r]*(#.*)?$""", top, re.MULTILINE)
    if not stated:
        return DEFAULT_PORT
    found = stated[1]
    digits = found.replace("_", "")
    if not re.fullmatch(r"[1-9][0-9]{0,4}", digits) or int(digits) > 65535:
        raise CommandError(f"{source}: port: found {found}, needed {PORT_KEY.needed}: correct it there")
    if ("tcp", int(digits)) in SWARM_PORTS:
        raise CommandError(f"{source}: port: found {digits}, which Docker Swarm uses: choose another")
    return int(digits)
