"""Run stage 1: init-server.sh starts it with its own name, a work folder, the system's name and the caller's folder."""

import os
import shutil
import signal
import sys
from pathlib import Path

from scripts.base.console import say, step, warn
from scripts.base.errors import CommandError
from scripts.bootstrap import engine_api, places
from scripts.bootstrap.checks.bundle import age_note
from scripts.bootstrap.executor import Executor
from scripts.bootstrap.machine import (
    Interrupted,
    default_signals,
    defer_signals,
    run,
    systemd_runs,
    text_of,
)
from scripts.bootstrap.options import Options, parse
from scripts.bootstrap.record import Record
from scripts.bootstrap.server import Server
from scripts.bootstrap.steps import LAST, STEPS, UNDO
from scripts.bootstrap.survey.bundle import check_not_served
from scripts.bootstrap.survey.docker import PYTHON, kit_python
from scripts.bootstrap.survey.network import notes
from scripts.bootstrap.survey.server import check_writable, survey


def main(program: str, work: str, system: str, folder: str, *arguments: str) -> int:
    """Return the exit status."""
    os.umask(0o022)
    os.chdir(folder)
    os.environ.pop("LD_LIBRARY_PATH", None)  # for the bundle's Python alone
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # without a reader, end as if killed: the next run continues
    defer_signals()
    try:
        options = parse(program, arguments)
        if options.uninstall:
            uninstall(options)
        else:
            initialise(options, system, Path(work))
    except CommandError as error:
        for line in error.lines:
            warn(line)
        return 1
    except Interrupted as error:
        return error.status
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


def initialise(options: Options, system: str, work: Path) -> None:
    record = Record(places.RECORD)
    server = survey(options, system, work, record)
    step(f"all checks passed: {server.name}, {system}")
    age = age_note(server.bundle.created, text_of(places.KIT / places.CREATED).strip())
    for note in filter(None, (age, *notes(server.port))):
        step(note)
    executor = Executor(record, options.dry_run)
    say("== changes begin here ==")
    _make_changes(executor, server)
    executor.carry_out(LAST, server)
    _summarise(executor, server)


def _make_changes(executor: Executor, server: Server) -> None:
    """Carry out every step; if one fails, undo what this run has changed."""
    mark = len(executor.record.entries())
    try:
        for each in STEPS:
            executor.carry_out(each, server)
    except BaseException as error:
        if executor.dry_run:
            raise
        default_signals()  # a second Ctrl-C ends this at once: what is recorded can be undone later
        fault = error if isinstance(error, CommandError) else _failure(executor.current, error)
        for line in fault.lines:
            warn(line)
        step("undoing the changes of this run")
        executor.undo_to(mark, UNDO)
        raise error if isinstance(error, Interrupted) else CommandError() from error


def _failure(current: str, error: BaseException) -> CommandError:
    why = "a signal asked to stop" if isinstance(error, Interrupted) else str(error)
    return CommandError(f"{current} failed ({why}): correct the cause and run this again")


def _summarise(executor: Executor, server: Server) -> None:
    if executor.count == 0:
        step(f"nothing changed: {server.name} is up to date")
    elif executor.dry_run:
        step(f"dry run: {executor.count} changes would be made, none was made")
    else:
        step(f"{server.name} is a member, changes made: {executor.count}")
    if executor.dry_run:
        return
    swarm = engine_api.swarm()
    if swarm.get("ControlAvailable") or swarm.get("LocalNodeState") != "active":
        python = "" if kit_python() == PYTHON else f" PYTHON={kit_python()}"
        step(f"to serve: list servers and models in {places.CLUSTER_FILE}, then: cd {places.KIT} && make up{python}")
    if server.options.first:
        step(
            "the next servers: init-server.sh --bundle DIR --models SOURCE --join-file FILE; the file says "
            f"TOKEN@{swarm.get('NodeAddr')}, where `docker swarm join-token --quiet worker` prints the token"
        )


def uninstall(options: Options) -> None:
    check_writable()
    record = Record(places.RECORD)
    if not record.entries():
        step(f"nothing to uninstall: no record in {places.STATE}")
        return
    check_not_served(places.RUN)
    Executor(record, options.dry_run).undo_to(0, UNDO)
    if options.dry_run:
        step("dry run: nothing was changed")
        return
    if systemd_runs():
        run("systemctl", "daemon-reload")
    left = [str(path) for path in (places.CLUSTER_FILE, places.MODELS) if path.exists()]
    kept = f", except for your own files, which are kept: {' '.join(left)}" if left else ""
    step(f"this server is restored{kept}")


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
