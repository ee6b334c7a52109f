"""A site without a network: environments made of what a bundle carries, a service that answers, a taught model.

The system's own Python makes and runs all of it, as on a server.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.bundle import layout, wheels
from scripts.bundle.kit import pack, read_kit
from tests import no_network
from tests.commands.services import PATIENT
from tests.commands.test_teach import COLOURS, draw
from tests.service import PHOTOS, bare_environment, free_ports

SYSTEM_PYTHON = "/usr/bin/python3"
SITE = """
set -e
make --no-print-directory up
make --no-print-directory down
make --no-print-directory teach NAME=colours IMAGES=../images
"""


@pytest.fixture
def site() -> Iterator[Path]:
    """A folder that every account may enter, with the kit and the wheels of a bundle, as a stick brings them."""
    home = Path(tempfile.mkdtemp(prefix="wanwu-site-", dir="/tmp"))
    home.chmod(0o755)
    try:
        (home / "bundle").mkdir()
        pack(read_kit(), home / "bundle" / layout.KIT, home / "draft")
        wheels.write(("local", "teach"), [version_of(SYSTEM_PYTHON)], False, home / "bundle")
        (home / "kit").mkdir()
        subprocess.run(["tar", "-xzf", home / "bundle" / layout.KIT, "-C", home / "kit"], check=True)
        (home / "kit/wheels").symlink_to("../bundle/wheels")
        yield home
    finally:
        shutil.rmtree(home)


def version_of(python: str) -> str:
    """Return the version as `scripts.host.pins.python_version` gives that of the running Python."""
    program = "import sys; print(*sys.version_info[:2], sep='.')"
    return subprocess.check_output([python, "-c", program], text=True).strip()


@pytest.mark.skipif(not no_network.possible(), reason="this account may not make namespaces")
def test_a_site_makes_its_environments_serves_and_teaches_from_what_a_bundle_carries(site: Path) -> None:
    for number, (name, colour) in enumerate((name, colour) for name, colour in COLOURS.items() for _ in range(12)):
        draw(site / "images" / name / f"{number}.png", number, colour)
    (site / "kit/compose/cluster.toml").write_text(f"port = {free_ports(3)}\n{PHOTOS}\n{PATIENT}")
    environ = {name: value for name, value in bare_environment().items() if not name.startswith("PIP_")}
    environ |= {"PIP_CONFIG_FILE": os.devnull, "RUNTIME": "local", "PYTHON": SYSTEM_PYTHON}
    done = no_network.run(site, ["sh", "-c", f"cd {site}/kit && {SITE}"], environ)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("-- Python environment")] == [
        "-- Python environment .venv/serve", "-- Python environment .venv/teach"
    ]  # fmt: skip
    assert "taught: models/colours" in done.stdout
    assert done.stdout.splitlines()[-1] == "DNS lookups:"
    program = [str(site / "kit/.venv/serve/bin/python"), "-m", "pip", "--version"]
    carried = next((site / "bundle/wheels").glob("*/pip-*.whl")).name.split("-")[1]
    assert subprocess.run(program, capture_output=True, text=True, check=True).stdout.startswith(f"pip {carried} ")
