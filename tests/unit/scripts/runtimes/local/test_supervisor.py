"""The real supervisord on the real supervisord.conf, with sleeping processes in place of workers, Nginx and gate."""

import configparser
import os
import pwd
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT
from scripts.host.environments import SERVE
from scripts.render.programs import gate_programs
from scripts.runtimes.local import supervisor
from scripts.runtimes.local.boot_unit import GATEWAY_STOP_S
from scripts.runtimes.local.layout import create
from scripts.runtimes.run_directory import RunDir, run_dir
from tests.wait import until

OWN = pwd.getpwuid(os.geteuid())
STOP_WAIT_S = 10  # stopwaitsecs of a program that has none, such as the gate

pytestmark = pytest.mark.skipif(not SERVE.python.exists(), reason="needs .venv/serve, which `make test` creates")


@pytest.fixture
def run() -> Iterator[RunDir]:
    """Yield a run directory whose path is short and has a space; stop what is left running there."""
    with tempfile.TemporaryDirectory(prefix="wan wu-") as folder:
        directory = run_dir(Path(folder) / "run")
        yield directory
        # A process that has not called exec yet misses the signal, and supervisord waits for it.
        until("none is starting", lambda: "STARTING" not in states(directory).values())
        supervisor.stop(directory)


def states(run: RunDir) -> dict[str, str]:
    return {name: process.state for name, process in supervisor.processes(run).items()}


def test_if_nothing_was_started_nothing_runs_and_stop_returns(run: RunDir) -> None:
    assert not supervisor.is_running(run)
    assert supervisor.processes(run) == {}
    supervisor.stop(run)
    create(run, {}, OWN)
    supervisor.stop(run)
    assert not supervisor.is_running(run)


def test_the_gateways_programs_are_those_of_the_files_and_a_unit_waits_until_they_have_stopped(tmp_path: Path) -> None:
    file = configparser.RawConfigParser(inline_comment_prefixes=";")
    file.read(ROOT / "scripts/runtimes/local/supervisord.conf")
    file.read_string(gate_programs(Path("python3"), tmp_path, "1a2b"))
    found = {name.removeprefix("program:"): file[name] for name in file.sections() if name.startswith("program:")}
    assert found.keys() == set(supervisor.GATEWAY)
    priorities = [int(found[name]["priority"]) for name in supervisor.GATEWAY]
    assert priorities == sorted(priorities, reverse=True)  # in which supervisord stops them by itself
    assert int(found["nginx"]["stopwaitsecs"]) + STOP_WAIT_S <= GATEWAY_STOP_S


def test_the_configuration_names_no_path_outside_the_run_directory() -> None:
    text = re.sub(r"^;.*$", "", (ROOT / "scripts/runtimes/local/supervisord.conf").read_text(), flags=re.M)
    paths = re.findall(r"""[^\s"'=]*/[^\s"']*""", text)
    assert "%(here)s/supervisord.sock" in paths
    outside = {path for path in paths if not path.startswith("%(here)s/")}
    assert outside == {"rendered/*.conf"}  # relative to the configuration file, so inside the run directory, too
    assert set(re.findall(r"%\((\w+)\)s", text)) == {"here"}
