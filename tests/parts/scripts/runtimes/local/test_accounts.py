import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.runtimes.local.accounts import choose_account
from tests.unprivileged_user import UNPRIVILEGED, as_unprivileged

OWN = pwd.getpwuid(os.geteuid())
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root chooses an account")


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A folder that every account can read; pytest's own are the caller's alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def readable_python() -> Path | None:
    """A Python of this version that an ordinary account can run, as Debian's is; the caller's own may lie in a home."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (Path(sys.base_prefix) / "bin" / version, Path("/usr/bin") / version):
        with as_unprivileged():
            if os.access(python, os.X_OK, effective_ids=True):
                return python
    return None


@pytest.fixture(scope="module")
def bare_python(open_folder: Path) -> Path:
    """The Python of an environment without packages that an ordinary account can run."""
    python = readable_python()
    if python is None:
        pytest.skip("no Python here that an ordinary account can run")
    subprocess.run([python, "-m", "venv", "--without-pip", open_folder / "bare"], check=True)
    return open_folder / "bare/bin/python"


@pytest.fixture(scope="module")
def python(bare_python: Path, open_folder: Path) -> Path:
    """The same with the real gunicorn, which is all that the account must be able to import."""
    import gunicorn

    shutil.copytree(open_folder / "bare", open_folder / "serve", symlinks=True)
    (packages,) = (open_folder / "serve/lib").glob("python*/site-packages")
    shutil.copytree(Path(gunicorn.__file__).parent, packages / "gunicorn")
    return open_folder / "serve/bin/python"


@pytest.fixture(scope="module")
def model(open_folder: Path) -> Path:
    path = open_folder / "model.toml"
    path.write_text("")
    path.chmod(0o644)
    return path


@as_root
def test_root_changes_to_nobody_if_that_can_run_python_and_read_every_path(python: Path, model: Path) -> None:
    assert choose_account(python, [model], model.parent) == UNPRIVILEGED


@as_root
def test_root_stays_if_nobody_cannot_read_a_path(python: Path, model: Path, tmp_path: Path) -> None:
    secret = tmp_path / "model.toml"
    secret.write_text("")
    secret.chmod(0o600)
    assert choose_account(python, [model, secret], model.parent) == OWN
    assert choose_account(python, [model, model.parent / "missing.toml"], model.parent) == OWN


@as_root
def test_root_stays_if_nobody_cannot_enter_the_parent_of_the_run_directory(
    python: Path, model: Path, tmp_path: Path
) -> None:
    tmp_path.chmod(0o700)
    assert choose_account(python, [model], tmp_path) == OWN


@as_root
def test_root_stays_if_nobody_cannot_run_python(model: Path, tmp_path: Path) -> None:
    assert choose_account(tmp_path / "bin/python", [model], model.parent) == OWN
    locked = tmp_path / "python"
    shutil.copy(sys.executable, locked)
    locked.chmod(0o700)
    assert choose_account(locked, [model], model.parent) == OWN


@as_root
def test_root_stays_if_the_packages_cannot_be_imported(bare_python: Path, model: Path) -> None:
    assert choose_account(bare_python, [model], model.parent) == OWN
