"""Which processes belong to a run directory, and which only look so: real ones, some of them Nginx."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.base.programs import search_path
from scripts.runtimes.local import orphans
from scripts.runtimes.local.layout import create
from scripts.runtimes.local.runtime import LocalRuntime
from scripts.runtimes.run_directory import RunDir, run_dir
from tests.unprivileged_user import as_unprivileged
from tests.wait import until

NGINX = shutil.which("nginx", path=search_path())
CONF = "daemon off; pid '{0}/pid'; events {{}} http {{ access_log off; server {{ listen 'unix:{0}/socket'; }} }}\n"


class Machine:
    """Processes of this test, ended with it; `folder` is where run directories lie."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack

    def run(self, name: str = "run") -> RunDir:
        run = run_dir(self.folder / name)
        create(run, {"runtime": "local\n"}, pwd.getpwuid(os.geteuid()))
        return run

    def start(self, command: list[str], cwd: Path, environ: Mapping[str, str]) -> int:
        process = subprocess.Popen(command, cwd=cwd, env={"PATH": "/usr/bin:/bin", **environ}, start_new_session=True)
        self.stack.callback(process.wait)
        self.stack.callback(_kill_all, process.pid)
        # Popen returns as soon as exec has closed its pipe, which is before the kernel shows the new environment.
        until("its environment is there", Path(f"/proc/{process.pid}/environ").read_bytes)
        return process.pid

    def sleep(self, cwd: Path, **environ: str) -> int:
        return self.start(["sleep", "1000"], cwd, environ)

    def nginx(self, cwd: Path) -> int:
        """The master of an Nginx with one worker."""
        own = Path(tempfile.mkdtemp(dir=self.folder))
        (own / "nginx.conf").write_text(CONF.format(own))
        assert NGINX
        master = self.start([NGINX, "-e", "stderr", "-p", str(own), "-c", "nginx.conf"], cwd, {})
        until("its worker is there", lambda: children(master))
        return master


def _kill_all(leader: int) -> None:
    """End a process with those below it: an Nginx whose master is killed alone goes on."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def machine() -> Iterator[Machine]:
    with tempfile.TemporaryDirectory(prefix="wan wu-") as folder, ExitStack() as stack:
        yield Machine(Path(folder), stack)


needs_nginx = pytest.mark.skipif(NGINX is None, reason="needs Nginx, which `make test` installs")


def test_a_process_is_found_by_its_environment(machine: Machine) -> None:
    run = machine.run()
    pid = machine.sleep(machine.folder, HOME=str(run.path), GATE="gate")
    assert orphans.find(run) == {pid: "sleep 1000"}
    with pytest.raises(CommandError, match=r"^supervisord is gone: .*`make up` .* starts the service again$"):
        LocalRuntime().is_running(run)


@needs_nginx
def test_nginx_is_found_by_its_working_directory_even_after_that_was_deleted(machine: Machine) -> None:
    run = machine.run()
    master = machine.nginx(run.path)
    expected = {master, *children(master)}
    assert orphans.find(run).keys() == expected
    shutil.rmtree(run.path)
    assert orphans.find(run).keys() == expected
    machine.run()
    assert orphans.find(run).keys() == expected


@needs_nginx
def test_similar_processes_are_left_alone(machine: Machine) -> None:
    run, similar, deleted = machine.run(), machine.run("run2"), machine.run("run (deleted)")
    unrelated = [
        machine.nginx(similar.path),
        machine.nginx(deleted.path),
        machine.nginx(machine.folder),
        machine.sleep(run.path),  # a person looks at the logs
        machine.sleep(machine.folder, HOME=str(run.path)),
        machine.sleep(machine.folder, HOME=str(similar.path), GATE="gate"),
    ]
    orphans.end(run)
    shutil.rmtree(run.path)
    orphans.end(run)
    assert orphans.find(run) == {}
    assert all(Path(f"/proc/{pid}/cwd").exists() for pid in unrelated)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="only root makes mount namespaces")
def test_a_process_of_another_container_is_left_alone(machine: Machine) -> None:
    run = machine.run()
    command = ["unshare", "--mount", "sleep", "1000"]
    pid = machine.start(command, machine.folder, {"HOME": str(run.path), "GATE": "gate"})
    own = os.readlink("/proc/self/ns/mnt")
    until("it has its own mounts", lambda: os.readlink(f"/proc/{pid}/ns/mnt") != own)
    assert orphans.find(run) == {}


def test_a_process_that_ignores_sigterm_is_killed(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "SIGNAL_TIMEOUT_S", 0.5)
    run = machine.run()
    command = ["sh", "-c", "trap '' TERM; echo; while :; do sleep 0.05; done"]
    with subprocess.Popen(command, env={"HOME": str(run.path), "GATE": ""}, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        orphans.end(run)
        assert process.wait() == -signal.SIGKILL


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another account for a moment")
def test_processes_that_cannot_be_ended_are_named_and_the_run_directory_stays(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = machine.run()
    machine.folder.chmod(0o755)
    with as_unprivileged(), pytest.raises(CommandError) as error:
        LocalRuntime().down(run)
    assert error.value.lines == (f"{run.path}: no permission: needed the account that started this service, or root",)
    pid = machine.sleep(machine.folder, HOME=str(run.path), GATE="gate")
    monkeypatch.setattr(orphans, "PHASES", ())
    with pytest.raises(CommandError) as error:
        LocalRuntime().down(run)
    assert error.value.lines == (
        f"{run.path}: found processes that cannot be ended: {pid} (sleep 1000): "
        "run this as root, or under their account",
    )
    assert run.path.exists()


def test_a_port_that_is_still_in_use_fails_the_command(machine: Machine) -> None:
    run = machine.run()
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        run.write({"gateway/rendered/listen.conf": f"listen {port};\n"})
        machine.sleep(machine.folder, HOME=str(run.path), GATE="gate")
        with pytest.raises(CommandError) as error:
            LocalRuntime().down(run)
    assert error.value.lines == (
        f"port {port}: still in use by a process that was not started from {run.path}: `ss -ltnp` shows which one",
    )
    LocalRuntime().down(run)
    assert not run.path.exists()
