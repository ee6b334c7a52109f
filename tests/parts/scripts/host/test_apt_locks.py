"""Waiting for another apt, whichever lock it holds: the real apt, with folders of its own."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.host import packages
from scripts.host.packages import require

TOOL = {"no-such-program": "wanwu-tool"}
CONTROL = "Package: wanwu-tool\nVersion: 1\nArchitecture: all\nMaintainer: n <n@example.org>\nDescription: to try apt\n"
LOCKS = ("lists/lock", "archives/lock", "dpkg/lock-frontend")
# What each of our ways to call apt runs, as a program.
CALLERS = {
    "packages.py": [sys.executable, "-c", f"from scripts.host.packages import require; require({TOOL})"],
    "apt.sh": ["bash", "-c", ". scripts/apt.sh; { apt_get update && apt_get install wanwu-tool; } || apt_reason"],
}
INIT = "import sys; from scripts.bootstrap.apt import {0}; sys.exit({0}(*sys.argv[1:]).returncode)"
WAITING = re.compile(r"-- waiting up to 10 minutes for another apt.*\d+.*")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("apt-get") is None, reason="only root installs, and only with apt"
)


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real apt with lists, archives and records of its own, a repository of one package, and no dpkg behind it."""
    for folder in ("lists/partial", "archives/partial", "dpkg", "repository", "package/DEBIAN", "etc"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "package/DEBIAN/control").write_text(CONTROL)
    deb = tmp_path / "repository/wanwu-tool.deb"
    subprocess.run(["dpkg-deb", "--build", tmp_path / "package", deb], check=True, capture_output=True)
    content = deb.read_bytes()
    (tmp_path / "repository/Packages").write_text(
        f"{CONTROL}Filename: ./wanwu-tool.deb\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
    )
    (tmp_path / "dpkg/status").touch()
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] copy:{tmp_path}/repository ./\n")
    (tmp_path / "apt.conf").write_text(
        f'Dir::State "{tmp_path}"; Dir::State::status "{tmp_path}/dpkg/status"; Dir::Cache "{tmp_path}";\n'
        f'Dir::Etc "{tmp_path}/etc"; Dir::Etc::sourcelist "{tmp_path}/sources.list"; Dir::Log "{tmp_path}";\n'
        'Dir::Bin::dpkg "/bin/true"; APT::Sandbox::User "root";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    return tmp_path


@contextmanager
def hold_lock(lock: Path) -> Iterator[None]:
    """Hold the lock as another apt does."""
    with lock.open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def run_while_locked(lock: Path, command: Sequence[str | Path]) -> tuple[int, str]:
    """Run the command while the lock is held, until it reports that it waits; return its status and later output."""
    with ExitStack() as holding:
        holding.enter_context(hold_lock(lock))
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            waits = any(WAITING.fullmatch(line.rstrip()) for line in process.stdout)
            holding.close()
            output = process.stdout.read()
    assert waits, "it ended without waiting"
    return process.returncode, output


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("caller", CALLERS)
def test_any_lock_that_another_apt_holds_is_waited_for(apt: Path, caller: str, lock: str) -> None:
    assert run_while_locked(apt / lock, CALLERS[caller]) == (0, "")


def test_init_server_waits_for_apt_and_for_dpkg(apt: Path) -> None:
    repository = (
        f"from pathlib import Path; apt = Repository(Path({str(apt / 'repository')!r}), Path({str(apt)!r})).apt"
    )
    installing = INIT.replace("import {0};", f"import Repository; {repository};").format("apt")
    subprocess.run(["apt-get", "-qq", "update"], check=True)
    assert run_while_locked(
        apt / "dpkg/lock-frontend", [sys.executable, "-c", installing, "install", "wanwu-tool"]
    ) == (0, "")
    for folder in ("updates", "info", "triggers"):
        (apt / "dpkg" / folder).mkdir()
    for lock in ("lock-frontend", "lock"):
        command = [sys.executable, "-c", INIT.format("dpkg"), f"--admindir={apt}/dpkg", "--configure", "-a"]
        assert run_while_locked(apt / "dpkg" / lock, command) == (0, "")


def test_waiting_times_out_and_names_the_holder(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "LOCK_TIMEOUT_S", 0)
    with hold_lock(apt / "lists/lock"):
        with pytest.raises(CommandError) as error:
            require(TOOL)
        script = ". scripts/apt.sh; APT_LOCK_S=0; apt_get update || apt_reason"
        output = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True).stdout
    holder = f"{apt}/lists/lock. It is held by process {os.getpid()} "
    assert error.value.lines[0].startswith(f"another apt still holds {holder}")
    assert error.value.lines[0].endswith(": wait for it to end, or end it, and run this again")
    assert output.startswith(f"E: Could not get lock {holder}")


def test_other_errors_are_not_waited_for(apt: Path) -> None:
    (apt / "sources.list").write_text(f"deb [trusted=yes] copy:{apt}/nowhere ./\n")
    with pytest.raises(CommandError):
        require(TOOL)


def test_all_callers_have_the_same_timeout() -> None:
    script = (ROOT / "scripts/apt.sh").read_text()
    assert re.findall(r"^APT_LOCK_S=(\d+)", script, re.MULTILINE) == [str(packages.LOCK_TIMEOUT_S)]


def test_no_other_script_changes_this_machine_with_apt_get() -> None:
    """Every other call only reads, or works on lists and locks of its own."""
    shell = [".ci/run", *(str(path.relative_to(ROOT)) for path in (ROOT / "scripts").glob("*.sh"))]
    calls = {
        (name, line.strip().partition("apt-get")[2].split()[0])
        for name in shell
        for line in (ROOT / name).read_text().splitlines()
        if re.search(r"(^|[\s(])apt-get ", line) and not re.match(r"\s*#|.*(fatal|info|printf) ", line)
    }
    assert calls == {
        ("scripts/apt.sh", "-qq"),
        ("scripts/docker-engine.sh", "indextargets"),
        ("scripts/base-image.sh", "indextargets"),
    }
