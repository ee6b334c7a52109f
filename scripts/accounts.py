"""Which account the processes run under: an ordinary one where it can read what they need."""

import os
import pwd
import subprocess
from collections.abc import Iterable
from pathlib import Path

NOBODY = "nobody"


def choose_account(python: Path, readable: Iterable[Path]) -> pwd.struct_passwd:
    """The caller's own account; for root an ordinary one, if that can run `python` and read every path."""
    own = pwd.getpwuid(os.geteuid())
    if own.pw_uid != 0:
        return own
    nobody = pwd.getpwnam(NOBODY)
    return nobody if _can_read(nobody, python, readable) else own


def _can_read(account: pwd.struct_passwd, python: Path, readable: Iterable[Path]) -> bool:
    """Asked of a process under that account: no look at modes knows all of the kernel's rules."""
    check = "import gunicorn, sys; [open(path).close() for path in sys.argv[1:]]"
    try:
        done = subprocess.run(
            [python, "-I", "-c", check, *readable],
            user=account.pw_uid, group=account.pw_gid, extra_groups=[], capture_output=True,
        )  # fmt: skip
    except OSError:
        return False
    return done.returncode == 0
