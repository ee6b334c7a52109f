"""Tests of `make lock`: it covers all lock files, with the command in each header and pip's package sources."""

from pathlib import Path

import pytest

from scripts.cluster.config import ROOT
from scripts.commands.lock import LOCKS, Lock, variables
from scripts.host.environments import DEV, EXPORTERS, LOCK, PEERS, PIP, SERVE, TEACH, TOOLS, TORCH_CPU, TORCH_CUDA

BY_HAND = ROOT / "scripts/requirements/photos.txt"


def test_every_lock_file_is_compiled_except_the_one_written_by_hand() -> None:
    folders = ("worker/requirements", "scripts/requirements", "tests")
    existing = {path for folder in folders for path in (ROOT / folder).glob("*.txt")}
    compiled = {ROOT / lock.target for lock in LOCKS}
    assert compiled == existing - {BY_HAND}
    used = {lock for environment in (SERVE, TOOLS, TEACH, PEERS, DEV, EXPORTERS, LOCK) for lock in environment.locks}
    assert compiled == used | {PIP, TORCH_CPU, TORCH_CUDA}
    assert all((ROOT / lock.source).is_file() for lock in LOCKS)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.target)
def test_a_lock_states_its_command_and_no_address(lock: Lock) -> None:
    text = (ROOT / lock.target).read_text()
    assert text.splitlines()[1] == f"#    uv {' '.join(lock.arguments)}"
    assert "://" not in text
    assert "--index" not in text.replace("--no-emit-index-url", "")


def test_a_constraint_is_compiled_before_the_locks_it_constrains() -> None:
    compiled: set[Path] = set()
    for lock in LOCKS:
        source = ROOT / lock.source
        lines = source.read_text().splitlines()
        constraints = {(source.parent / line[3:]).resolve() for line in lines if line.startswith("-c ")}
        assert constraints <= compiled, lock.target
        compiled.add(ROOT / lock.target)


PIP_CONFIG = """\
global.extra-index-url='https://more.example/simple'
global.find-links='/srv/wheels'
global.index-url='https://mirror.example/simple'
install.cert='/etc/ours.pem'
:env:.find-links='/media/usb\\n/srv/other'
:env:.timeout='60'
"""


def test_packages_come_from_the_sources_of_pip_and_later_sections_override() -> None:
    environ = {"PATH": "/bin", "UV_INDEX": "https://elsewhere.example", "UV_TORCH_BACKEND": "cpu"}
    index = {"UV_DEFAULT_INDEX": "https://mirror.example/simple", "SSL_CERT_FILE": "/etc/ours.pem"}
    own = {"PATH": "/bin", "UV_NO_CONFIG": "1"}
    assert variables(PIP_CONFIG, False, environ) == own | index
    assert variables(PIP_CONFIG, True, environ) == own | index | {"UV_FIND_LINKS": "/media/usb,/srv/other"}
    assert variables("", True, environ) == own
