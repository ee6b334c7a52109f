"""Programs from the distribution: their packages, and the installation of these with apt where it is possible."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.base.programs import on_path, remedy
from scripts.base.waiting import wait_until
from scripts.host import systemd

NGINX = {"nginx": "nginx-light"}
PROMETHEUS = {"prometheus": "prometheus", "promtool": "prometheus"}
LOAD_GENERATOR = {"wrk": "wrk"}
BROWSER = {"chromium": "chromium", "chromedriver": "chromium-driver"}
TEST_TOOLS = {
    **BROWSER, **PROMETHEUS, "shellcheck": "shellcheck", "debootstrap": "debootstrap",
    "ssh": "openssh-client", "mkfs.ext4": "e2fsprogs", "mkfs.xfs": "xfsprogs", "ip": "iproute2",
    "node": "nodejs",
}  # fmt: skip
# The words of apt, after which the lock's path and its holder follow, and those of dpkg.
LOCK_ERRORS = ("Could not get lock ", "lock was locked by another process")
LOCK_TIMEOUT_S = 600  # an upgrade in the background may take minutes
POLL_INTERVAL_S = 1
Result = subprocess.CompletedProcess[str]


def require(programs: Mapping[str, str], is_present: Callable[[str], bool] = on_path) -> None:
    """Install the missing `programs` (program -> Debian package); raise CommandError if that is impossible."""
    if packages := installable(programs, is_present):
        step(f"apt: {' '.join(packages)}")
        _install(packages)


def require_without_unit(programs: Mapping[str, str], unit: str) -> None:
    """Install as `require` does, without `unit`, which the package would start at the next boot."""
    missing = installable(programs)
    require(programs)
    if missing and systemd.fault() is None:
        systemd.require("disable", unit)


def installable(programs: Mapping[str, str], is_present: Callable[[str], bool] = on_path) -> list[str]:
    """Return the packages that `require` would install; raise CommandError if this account or system cannot."""
    missing = [program for program in programs if not is_present(program)]
    packages = sorted({programs[program] for program in missing})
    if missing and (os.geteuid() != 0 or not on_path("apt-get")):
        raise CommandError(f"found no {', '.join(missing)}: {remedy(packages)}")
    return packages


def require_ensurepip() -> None:
    """Install ensurepip for the running Python if it is missing; raise CommandError if that is impossible."""
    require(ensurepip_package(), is_present=has_ensurepip)


def ensurepip_package() -> dict[str, str]:
    """Return the argument of `require` that installs ensurepip for the running Python.

    Raise CommandError if this Python lacks ensurepip and is not the distribution's: no package can add it.
    """
    if sys.base_prefix != "/usr" and not has_ensurepip():
        raise CommandError(
            f"found no ensurepip in {sys.executable}, which is not the system's Python, "
            "needed a Python with ensurepip: choose one with PYTHON=, such as PYTHON=/usr/bin/python3"
        )
    return {"ensurepip": f"python{'.'.join(map(str, sys.version_info[:2]))}-venv"}


def has_ensurepip(_: str = "") -> bool:
    try:
        import ensurepip

        # A removed package may leave an empty folder behind, which can still be imported.
        return bool(ensurepip.version())
    except (ImportError, AttributeError):
        return False


def apt(arguments: Sequence[str]) -> None:
    """Run `apt-get ARGUMENTS` as root; raise CommandError with its last lines if it fails."""
    if (result := _apt(arguments)).returncode:
        raise CommandError(*result.stderr.strip().splitlines()[-3:])


def _install(packages: Sequence[str]) -> None:
    install = ["install", "--no-install-recommends", *packages]
    # Fetch the lists only if the present ones do not do: an offline mirror may support one and not the other.
    for arguments in (install, ["update"], install):
        result = _apt(arguments)
        if result.returncode == 0 and arguments is install:
            return
    raise CommandError(f"apt could not install {' '.join(packages)}:", *result.stderr.strip().splitlines()[-3:])


def _apt(arguments: Sequence[str]) -> Result:
    """Run apt-get; raise CommandError if another apt still holds a lock after LOCK_TIMEOUT_S seconds."""
    result = when_unlocked(lambda: _apt_once(arguments))
    if is_locked(result):
        holder = _lock_error(result).removeprefix(f"E: {LOCK_ERRORS[0]}")
        raise CommandError(f"another apt still holds {holder}: wait for it to end, or end it, and run this again")
    return result


def when_unlocked(run_once: Callable[[], Result]) -> Result:
    """Run apt or dpkg, and again while another holds a lock, up to LOCK_TIMEOUT_S seconds; return the last result.

    apt's own DPkg::Lock::Timeout covers neither the lock on its lists nor the one on its archives, and dpkg has none.
    """
    result = run_once()
    if not is_locked(result):
        return result
    step(f"waiting up to {LOCK_TIMEOUT_S // 60} minutes for another apt or dpkg: {_lock_error(result)}")

    def is_free() -> bool:
        nonlocal result
        result = run_once()
        return not is_locked(result)

    wait_until(is_free, LOCK_TIMEOUT_S, POLL_INTERVAL_S)
    return result


def is_locked(result: Result) -> bool:
    return result.returncode != 0 and _lock_error(result) != ""


def _lock_error(result: Result) -> str:
    """Return the line that says who holds a lock; "" if there is none."""
    lines = (result.stderr + result.stdout).splitlines()
    return next((line for line in lines for error in LOCK_ERRORS if error in line), "")


def _apt_once(arguments: Sequence[str]) -> Result:
    # RUNLEVEL=1 keeps packages from starting their services: Nginx would take port 80.
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1", "LC_ALL": "C.UTF-8"}
    command = ["apt-get", "-qq", "--yes", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, stdin=subprocess.DEVNULL)
