"""Act as an ordinary account for a moment if the tests run as root."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager

UNPRIVILEGED = pwd.getpwnam("nobody")


@contextmanager
def as_unprivileged() -> Iterator[None]:
    """Act as `nobody` inside the block; an ordinary account stays what it is."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(UNPRIVILEGED.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
