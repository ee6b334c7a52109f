"""Programs from the distribution: installed with apt where we may, otherwise the exact command is named."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping

from scripts.console import step
from scripts.refusal import Refusal

NGINX = {"nginx": "nginx-light"}
TEST_TOOLS = {
    "chromium": "chromium", "chromedriver": "chromium-driver", "shellcheck": "shellcheck", "debootstrap": "debootstrap",
    "ssh": "openssh-client", "mkfs.ext4": "e2fsprogs", "ip": "iproute2",
}  # fmt: skip


def on_path(program: str) -> bool:
    # Debian keeps servers in /usr/sbin, which an ordinary user's PATH lacks.
    return shutil.which(program, path=search_path()) is not None


def search_path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"


def require(programs: Mapping[str, str], found: Callable[[str], bool] = on_path) -> None:
    """Have every program of `programs` (name -> Debian package) installed; raises Refusal where that cannot be."""
    missing = [program for program in programs if not found(program)]
    if not missing:
        return
    packages = sorted({programs[program] for program in missing})
    command = f"apt-get install --no-install-recommends {' '.join(packages)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Refusal(f"found no {', '.join(missing)}: run as root: {command}")
    step(f"apt: {' '.join(packages)}")
    # RUNLEVEL=1 keeps a package's own service from starting: Nginx's would take port 80.
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    # Lists are fetched only when the ones at hand do not serve: an offline mirror may allow one and not the other.
    for arguments in (command.split()[1:], ["update"], command.split()[1:]):
        done = subprocess.run(
            ["apt-get", "-qq", "--yes", *arguments],
            env=environ,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode == 0 and arguments[0] == "install":
            return
    raise Refusal(f"apt could not install {' '.join(packages)}:", *done.stderr.strip().splitlines()[-3:])
