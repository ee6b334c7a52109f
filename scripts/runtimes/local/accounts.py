"""Choose the account for the processes: an unprivileged one if it can read what they need."""

import os
import pwd
import subprocess
from collections.abc import Iterable
from pathlib import Path

NOBODY = "nobody"


def choose_account(python: Path, readable: Iterable[Path], directory: Path) -> pwd.struct_passwd:
    """Return the caller's account; for root, NOBODY's if it can run `python`, read `readable` and enter `directory`."""
    caller = pwd.getpwuid(os.geteuid())
    if caller.pw_uid != 0:
        return caller
    nobody = pwd.getpwnam(NOBODY)
    return nobody if _has_access(nobody, python, readable, directory) else caller


def _has_access(account: pwd.struct_passwd, python: Path, readable: Iterable[Path], directory: Path) -> bool:
    """Try it in a process under `account`: file modes alone do not tell what the kernel allows."""
    check = "import gunicorn, os, sys; os.chdir(sys.argv[1]); [open(path).close() for path in sys.argv[2:]]"
    try:
        result = subprocess.run(
            [python, "-I", "-c", check, directory, *readable],
            user=account.pw_uid, group=account.pw_gid, extra_groups=[], capture_output=True,
        )  # fmt: skip
    except OSError:
        return False
    return result.returncode == 0
