"""The real supervisord on the real supervisord.conf, with sleeping processes in place of workers, Nginx and gate."""

import os
import pwd
import re
import shlex
import signal
import socketserver
import threading
from pathlib import Path
from xmlrpc.server import SimpleXMLRPCDispatcher, SimpleXMLRPCRequestHandler

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.host.environments import SERVE
from scripts.render.programs import gate_programs
from scripts.runtimes.local import layout, supervisor
from scripts.runtimes.run_directory import RunDir
from tests.unprivileged_user import as_unprivileged
from tests.wait import until

OWN = pwd.getpwuid(os.geteuid())
SLEEP = "/bin/sh -c 'exec sleep 1000' asleep"
PROGRAMS = f"""\
[program:photos-0]
command={SLEEP}
priority=100
[program:photos-1]
command={SLEEP}
priority=100
"""
NEW_PROGRAM = f"""
[program:new-0]
command={SLEEP}
"""
SLOW = 'trap "echo told; sleep 1; echo ended; exit" TERM; while :; do sleep 0.05; done >>"$0"'
SLOW_PROGRAMS = "".join(f"[program:photos-{n}]\ncommand=/bin/sh -c '{SLOW}' '%(here)s/order'\n" for n in (0, 1))
UP = {"photos-0", "photos-1", *supervisor.GATEWAY}

pytestmark = pytest.mark.skipif(not SERVE.python.exists(), reason="needs .venv/serve, which `make test` creates")


def create(run: RunDir, programs: str = PROGRAMS) -> dict[str, str]:
    """The run directory with `programs`; returns the environment to start with, whose `nginx` and gate sleep too."""
    gate = gate_programs(run.path / "bin/gate", ROOT, "1")
    layout.create(run, {"rendered/programs.conf": programs, "rendered/gate.conf": gate}, OWN)
    (run.path / "bin").mkdir()
    for name in ("nginx", "gate"):
        (run.path / "bin" / name).write_text("#!/bin/sh\nexec sleep 1000\n")
        (run.path / "bin" / name).chmod(0o755)
    return {"PATH": f"{run.path}/bin:/usr/bin:/bin", "HOME": str(run.path)}


def start(run: RunDir, programs: str = PROGRAMS) -> None:
    supervisor.start(run, SERVE.python, [], create(run, programs))


class Handler(SimpleXMLRPCRequestHandler):
    disable_nagle_algorithm = False  # there is none on a Unix socket


class Impostor(socketserver.UnixStreamServer, SimpleXMLRPCDispatcher):
    """Answers in supervisord's place, as the account of the service could."""

    def __init__(self, run: RunDir, names: list[str]) -> None:
        SimpleXMLRPCDispatcher.__init__(self)
        rows = [{"name": name, "statename": "STOPPED", "pid": 0, "start": 0} for name in names]
        self.register_function(lambda: rows, "supervisor.getAllProcessInfo")
        socketserver.UnixStreamServer.__init__(self, str(run.socket), Handler)
        self.logRequests = False


def running_pids(run: RunDir) -> dict[str, int]:
    processes = supervisor.processes(run)
    return {name: process.pid for name, process in processes.items() if process.state == "RUNNING"}


def stopped(run: RunDir) -> list[str]:
    """The processes that supervisord has stopped, in that order, as its log says."""
    return re.findall(r"stopped: (\S+)", (run.logs / "supervisord.log").read_text())


def test_it_starts_replaces_the_gate_alone_and_stops_the_gateway_first(run: RunDir) -> None:
    start(run)
    assert supervisor.is_running(run)
    until("all run", lambda: running_pids(run).keys() == UP)

    before = running_pids(run)
    run.write({"rendered/gate.conf": gate_programs(run.path / "bin/gate", ROOT, "2")})
    supervisor.update_gate(run)
    assert set(stopped(run)) == {"gate", "gate-watch"}
    until("all run", lambda: running_pids(run).keys() == UP)
    after = running_pids(run)
    assert {name for name, pid in after.items() if pid != before[name]} == {"gate", "gate-watch"}

    supervisor.stop(run)
    assert not supervisor.is_running(run)
    assert not run.socket.exists()
    assert not any(Path(f"/proc/{pid}").exists() for pid in after.values())
    first, last = stopped(run)[2:-2], stopped(run)[-2:]
    assert first == list(supervisor.GATEWAY)
    assert set(last) == {"photos-0", "photos-1"}


def test_workers_are_stopped_at_the_same_time(run: RunDir) -> None:
    start(run, SLOW_PROGRAMS)
    until("all run", lambda: running_pids(run).keys() == UP)
    supervisor.stop(run)
    assert (run.path / "rendered/order").read_text().split() == ["told", "told", "ended", "ended"]


def test_workers_are_added_and_removed_while_others_keep_running(run: RunDir) -> None:
    start(run)
    until("all run", lambda: running_pids(run).keys() == UP)
    before = running_pids(run)
    run.write({"rendered/programs.conf": PROGRAMS + NEW_PROGRAM})
    supervisor.add(run, "new-0")
    until("the new one runs", lambda: running_pids(run).keys() == {*UP, "new-0"})
    assert before.items() <= running_pids(run).items()
    supervisor.remove(run, ["photos-0", "photos-1", "unknown"])
    assert supervisor.processes(run).keys() == {"new-0", *supervisor.GATEWAY}
    assert set(stopped(run)) == {"photos-0", "photos-1"}


def test_a_process_that_exits_at_once_is_still_removed(run: RunDir) -> None:
    start(run, "[program:photos-0]\ncommand=/bin/sh -c 'sleep 0.1'\nstartsecs=0\nautorestart=true\n")
    until("it was started again", lambda: (run.logs / "supervisord.log").read_text().count("spawned: 'photos-0'") > 2)
    supervisor.remove(run, ["photos-0"])
    assert supervisor.processes(run).keys() == {*supervisor.GATEWAY}


def test_a_process_that_is_not_listed_is_rejected_with_the_reason_of_supervisord(run: RunDir) -> None:
    start(run)
    with pytest.raises(CommandError) as error:
        supervisor.add(run, "new-0")
    assert error.value.lines == ("supervisord rejected addProcessGroup new-0: BAD_NAME: new-0",)
    run.write({"rendered/programs.conf": "[program:new-0]\n"})
    with pytest.raises(CommandError, match=r"^supervisord rejected reloadConfig : CANT_REREAD: .*new-0"):
        supervisor.add(run, "new-0")


def test_nginx_and_gate_get_paths_in_the_run_directory_and_not_the_callers_environment(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_CALLERS_SHELL", "1")
    environ = create(run)
    record = run.path / "bin/record"
    record.write_text(
        '#!/bin/sh\n[ "$3" != watch ] || exec sleep 1000\n'
        'env > "$0.env"\nprintf "%s\\n" "$@" > "$0.args"\nexec sleep 1000\n'
    )
    record.chmod(0o755)
    for name in ("nginx", "gate"):
        (run.path / "bin" / name).unlink()
        (run.path / "bin" / name).symlink_to("record")
    supervisor.start(run, SERVE.python, [], environ)
    until("both run", lambda: running_pids(run).keys() == UP)
    gateway = f"{run.path}/gateway"
    nginx = ["-e", "stderr", "-p", gateway, "-c", "nginx.conf"]
    assert arguments_of(run, "nginx") == nginx
    *gate, command = arguments_of(run, "gate")
    assert gate == [
        "-m", "gate", "run", "--members", f"{gateway}/rendered/members.json", "--out", f"{gateway}/rendered", "--nginx",
    ]  # fmt: skip
    assert shlex.split(command) == ["nginx", *nginx]
    seen = (run.path / "bin/gate.env").read_text()
    assert "OF_THE_CALLERS_SHELL" not in seen


def arguments_of(run: RunDir, program: str) -> list[str]:
    return (run.path / f"bin/{program}.args").read_text().splitlines()


def test_a_process_that_ends_at_once_is_started_again_and_again(run: RunDir) -> None:
    start(run, "[program:broken]\ncommand=/bin/false\nstartretries=1000000\nstartsecs=1\n")
    seen: set[int] = set()

    def has_failed_often() -> bool:
        process = supervisor.processes(run)["broken"]
        assert process.state in ("STARTING", "BACKOFF")
        seen.add(process.started)
        return len(seen) > 4

    until("supervisord's own default, 3 more starts, is passed", has_failed_often)


@pytest.mark.parametrize(
    ("programs", "reason"),
    [
        ("[program:x]\ncommand=%(nothing)s\n", "contains names ('nothing') which cannot be expanded"),
        ("[program:x]\n", "program section program:x does not specify a command"),
    ],
)
def test_an_invalid_configuration_is_reported_with_the_reason_of_supervisord(
    run: RunDir, programs: str, reason: str
) -> None:
    with pytest.raises(CommandError) as error:
        start(run, programs)
    assert str(error.value).startswith("supervisord did not start: Error: ")
    assert reason in str(error.value)
    assert not supervisor.is_running(run)


def test_a_second_supervisord_in_the_same_run_directory_is_refused(run: RunDir) -> None:
    environ = create(run)
    supervisor.start(run, SERVE.python, [], environ)
    with pytest.raises(CommandError, match=r"^supervisord did not start: Error: Another program is already listening"):
        supervisor.start(run, SERVE.python, [], environ)
    assert supervisor.is_running(run)


def test_a_supervisord_that_was_killed_does_not_count_as_running(run: RunDir) -> None:
    start(run, "")
    pid = int(run.pid_file.read_text())
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for process in (pid, *map(int, children)):
        os.kill(process, signal.SIGKILL)
    until("it is gone", lambda: not supervisor.is_running(run))
    run.pid_file.write_text(str(os.getpid()))  # the number was given to another process
    assert run.socket.exists()
    assert not supervisor.is_running(run)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another account for a moment")
def test_another_account_cannot_stop_it_and_the_error_says_who_can(run: RunDir) -> None:
    start(run, "")
    run.path.parent.chmod(0o755)
    with as_unprivileged(), pytest.raises(CommandError) as error:
        supervisor.stop(run)
    assert error.value.lines == (f"{run.socket}: no permission: needed the account that started this service, or root",)
    assert supervisor.is_running(run)


def test_only_names_that_the_kit_gives_come_from_who_answers(run: RunDir) -> None:
    run.path.mkdir(exist_ok=True)
    with Impostor(run, ["photos-0", "../../victim", "/etc", "photos 1\n", "", ".."]) as impostor:
        thread = threading.Thread(target=impostor.serve_forever)
        thread.start()
        try:
            assert supervisor.workers(run) == {"photos-0"}
        finally:
            impostor.shutdown()
            thread.join()
