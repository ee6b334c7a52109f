"""Being an ordinary account for a moment, where the tests run as root."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager

UNPRIVILEGED = pwd.getpwnam("nobody")


@contextmanager
def as_unprivileged() -> Iterator[None]:
    """Be `nobody` inside the block; who is an ordinary account already stays it."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(UNPRIVILEGED.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
