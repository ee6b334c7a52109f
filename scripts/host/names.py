"""This machine's own host names."""

import re
import socket

NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")


def own_names() -> list[str]:
    """Return this machine's host names in lower case, the full one first; those of its loopback are left out."""
    names = (socket.getfqdn().lower(), socket.gethostname().lower())
    return [name for name in dict.fromkeys(names) if NAME.fullmatch(name) and not name.startswith("localhost")]
