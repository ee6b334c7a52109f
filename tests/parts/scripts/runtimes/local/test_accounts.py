import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.base.errors import CommandError
from scripts.runtimes.local.accounts import ACCOUNT, check_access, prefix, service_account, show
from tests.unprivileged_user import UNPRIVILEGED, as_unprivileged

LIMITS = "from resource import *; print(getrlimit(RLIMIT_NPROC), getrlimit(RLIMIT_NOFILE))"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes the account")


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


def output(start: list[str], *command: Any) -> str:
    return subprocess.run([*start, *command], check=True, capture_output=True, text=True).stdout


def fault(start: list[str], python: Path, readable: list[Path], directory: Path) -> str:
    with pytest.raises(CommandError) as caught:
        check_access(start, python, readable, directory)
    return str(caught.value)


@as_root
def test_root_gets_an_account_of_the_service_alone() -> None:
    account = service_account()
    assert (account.pw_name, service_account()) == (ACCOUNT, account)
    assert 0 < account.pw_uid != UNPRIVILEGED.pw_uid
    assert account.pw_shell.endswith("nologin")


@as_root
def test_what_is_started_has_no_rights_and_limits(model: Path) -> None:
    start = prefix(UNPRIVILEGED, [], [8080], workers=3)
    status = dict(line.split(":", 1) for line in output(start, "cat", "/proc/self/status").splitlines())
    assert status["Uid"].split() == [str(UNPRIVILEGED.pw_uid)] * 4
    assert status["Gid"].split() == [str(UNPRIVILEGED.pw_gid)] * 4
    assert (status["Groups"].strip(), status["NoNewPrivs"].strip()) == ("", "1")
    assert {status[name].strip() for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {"0" * 16}
    assert output(start, sys.executable, "-c", LIMITS) == "(7168, 7168) (16384, 16384)\n"


@as_root
def test_a_port_below_1024_needs_one_capability_and_no_other() -> None:
    start = prefix(UNPRIVILEGED, [], [8080, 80], workers=1)
    status = dict(line.split(":", 1) for line in output(start, "cat", "/proc/self/status").splitlines())
    assert {int(status[name], 16) for name in ("CapEff", "CapAmb")} == {1 << 10}  # CAP_NET_BIND_SERVICE


@as_root
def test_folders_below_a_closed_one_are_visible_and_nothing_else_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    for name in ("kit/deep", "run", "secret"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text(name)
    start = prefix(UNPRIVILEGED, [tmp_path / "kit", tmp_path / "kit/deep", tmp_path / "run"], [8080], workers=1)
    assert sorted(output(start, "find", tmp_path, "-type", "f").split()) == [
        str(tmp_path / "kit/deep/file"), str(tmp_path / "run/file")
    ]  # fmt: skip
    (tmp_path / "run/later").write_text("here")
    assert output(start, "cat", tmp_path / "run/later") == "here"
    assert (tmp_path / "secret/file").read_text() == "secret"
    assert subprocess.run(["mountpoint", "-q", tmp_path], check=False).returncode


@as_root
def test_access_is_tried_and_what_lacks_is_named(python: Path, model: Path, tmp_path: Path) -> None:
    start = prefix(UNPRIVILEGED, [python.parent.parent, model.parent], [8080], workers=1)
    check_access(start, python, [model], model.parent)
    secret = model.with_name("secret.toml")
    secret.write_text("")
    secret.chmod(0o600)
    assert f"found PermissionError: [Errno 13] Permission denied: '{secret}', needed" in fault(
        start, python, [model, secret], model.parent
    )
    assert "No such file or directory" in fault(start, python, [model.with_name("missing.toml")], model.parent)
    tmp_path.chmod(0o700)
    assert f"Permission denied: '{tmp_path}'" in fault(start, python, [model], tmp_path)
    assert "chmod -R o+rX" in fault(start, tmp_path / "bin/python", [model], model.parent)


@as_root
def test_an_environment_without_its_packages_is_named(bare_python: Path, model: Path) -> None:
    start = prefix(UNPRIVILEGED, [bare_python.parent.parent], [8080], workers=1)
    assert "No module named 'gunicorn'" in fault(start, bare_python, [model], model.parent)


@as_root
def test_a_folder_is_shown_to_what_runs_already(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    for name in ("run", "models/new"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text(name)
    start = prefix(UNPRIVILEGED, [tmp_path / "run"], [8080], workers=1)
    shell = subprocess.Popen([*start, "sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert shell.stdin
    assert shell.stdout
    shell.stdin.write("echo started\n")
    shell.stdin.flush()
    assert shell.stdout.readline() == "started\n"
    for text in ("before", "models/new"):  # the folder is removed, and another gets its name
        shutil.rmtree(tmp_path / "models/new")
        (tmp_path / "models/new").mkdir()
        (tmp_path / "models/new/file").write_text(text)
        for _ in range(2):  # what is seen already stays as it is
            show(UNPRIVILEGED, [tmp_path / "run", tmp_path / "models/new"], shell.pid)
    assert shell.communicate(f"cat {tmp_path}/run/file {tmp_path}/models/new/file\n", timeout=60)[0] == "runmodels/new"
    assert shell.returncode == 0
