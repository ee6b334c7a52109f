"""Programs from the distribution: which package has them, and installing it with apt where that may be done."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.base.programs import on_path, remedy
from scripts.base.waiting import wait_until

NGINX = {"nginx": "nginx-light"}
TEST_TOOLS = {
    "chromium": "chromium", "chromedriver": "chromium-driver", "shellcheck": "shellcheck", "debootstrap": "debootstrap",
    "ssh": "openssh-client", "mkfs.ext4": "e2fsprogs", "mkfs.xfs": "xfsprogs", "ip": "iproute2",
}  # fmt: skip
LOCKED = "Could not get lock "  # apt's words, before the lock's path and its holder
LOCK_S = 600  # an upgrade in the background may take minutes
LOOK_S = 1


def require(programs: Mapping[str, str], found: Callable[[str], bool] = on_path) -> None:
    """Install what is missing of `programs` (name to Debian package); raise CommandError where that cannot be done."""
    if packages := installable(programs, found):
        step(f"apt: {' '.join(packages)}")
        _install(packages)


def installable(programs: Mapping[str, str], found: Callable[[str], bool] = on_path) -> list[str]:
    """Return the packages that `require` would install; raise CommandError where this account or system cannot."""
    missing = [program for program in programs if not found(program)]
    packages = sorted({programs[program] for program in missing})
    if missing and (os.geteuid() != 0 or not on_path("apt-get")):
        raise CommandError(f"found no {', '.join(missing)}: {remedy(packages)}")
    return packages


def require_ensurepip() -> None:
    """Have the running Python able to make environments with pip; raise CommandError where that cannot be done."""
    require(ensurepip_package(), found=has_ensurepip)


def ensurepip_package() -> dict[str, str]:
    """Return the Debian package that has ensurepip for the running Python, as `require` takes it.

    Raise CommandError for a Python without ensurepip that is not the distribution's: no package completes that.
    """
    if sys.base_prefix != "/usr" and not has_ensurepip():
        raise CommandError(
            f"found no ensurepip in {sys.executable}, which is not the system's Python: needed a Python with it: "
            "give another one with PYTHON=, such as PYTHON=/usr/bin/python3"
        )
    return {"ensurepip": f"python{'.'.join(map(str, sys.version_info[:2]))}-venv"}


def has_ensurepip(_: str = "") -> bool:
    try:
        import ensurepip

        # A package that was removed may leave an empty folder, which can be imported, too.
        return bool(ensurepip.version())
    except (ImportError, AttributeError):
        return False


def _install(packages: Sequence[str]) -> None:
    install = ["install", "--no-install-recommends", *packages]
    # Lists are fetched only when the ones at hand do not serve: an offline mirror may allow one and not the other.
    for arguments in (install, ["update"], install):
        done = _apt(arguments)
        if done.returncode == 0 and arguments is install:
            return
    raise CommandError(f"apt could not install {' '.join(packages)}:", *done.stderr.strip().splitlines()[-3:])


def _apt(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run apt-get, and again while another apt holds a lock; raise CommandError when one is held for LOCK_S seconds.

    apt's own DPkg::Lock::Timeout covers neither the lock on its lists nor that on its archives.
    """
    done = _apt_once(arguments)
    if not _met_lock(done):
        return done
    holder = done.stderr.partition(LOCKED)[2].splitlines()[0]
    step(f"waiting up to {LOCK_S // 60} minutes for another apt, which holds {holder}")

    def is_free() -> bool:
        nonlocal done
        done = _apt_once(arguments)
        return not _met_lock(done)

    if not wait_until(is_free, LOCK_S, LOOK_S):
        holder = done.stderr.partition(LOCKED)[2].splitlines()[0]
        raise CommandError(f"another apt still holds {holder}: wait for it to end, or end it, and run this again")
    return done


def _met_lock(done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode != 0 and LOCKED in done.stderr


def _apt_once(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    # RUNLEVEL=1 keeps a package's own service from starting: Nginx's would take port 80.
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1", "LC_ALL": "C.UTF-8"}
    command = ["apt-get", "-qq", "--yes", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, stdin=subprocess.DEVNULL)
