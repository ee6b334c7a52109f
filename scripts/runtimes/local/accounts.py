"""Which account the processes run under: an ordinary one where it can read what they need."""

import os
import pwd
import subprocess
from collections.abc import Iterable
from pathlib import Path

NOBODY = "nobody"


def choose_account(python: Path, readable: Iterable[Path], home: Path) -> pwd.struct_passwd:
    """The caller's own account; for root an ordinary one, if it can run `python`, read every path and enter `home`."""
    own = pwd.getpwuid(os.geteuid())
    if own.pw_uid != 0:
        return own
    nobody = pwd.getpwnam(NOBODY)
    return nobody if _can_work(nobody, python, readable, home) else own


def _can_work(account: pwd.struct_passwd, python: Path, readable: Iterable[Path], home: Path) -> bool:
    """Asked of a process under that account: no look at modes knows all of the kernel's rules."""
    check = "import gunicorn, os, sys; os.chdir(sys.argv[1]); [open(path).close() for path in sys.argv[2:]]"
    try:
        done = subprocess.run(
            [python, "-I", "-c", check, home, *readable],
            user=account.pw_uid, group=account.pw_gid, extra_groups=[], capture_output=True,
        )  # fmt: skip
    except OSError:
        return False
    return done.returncode == 0
