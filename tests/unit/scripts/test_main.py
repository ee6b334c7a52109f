"""The command line, as a shell sees it."""

import os
import pkgutil
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.__main__ import COMMANDS, main
from scripts.cluster.config import ROOT
from tests.service import hear_signals

OWN_TOOLS = ("scripts.bench", "scripts.models.tools.")  # run in environments of their own
VENDORED = "scripts._vendor."  # known by their own names, not by this one
Capture = pytest.CaptureFixture[str]


def run(capsys: Capture, *arguments: object) -> tuple[int, str, str]:
    """Exit status, what was printed, and what was complained of."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as end:
        status = int(end.code or 0)
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # where argparse breaks lines


def test_the_commands_are_named_when_none_is_given_or_help_is_asked_for(capsys: Capture) -> None:
    status, out, err = run(capsys)
    assert (status, out) == (2, "")
    assert err.endswith("error: the following arguments are required: COMMAND\n")
    status, out, err = run(capsys, "--help")
    assert (status, err) == (0, "")
    listed = dict(re.findall(r"^    ([a-z0-9-]+)\s+(.+)$", out, re.MULTILINE))
    assert listed == {name: summary for name, (_, summary) in COMMANDS.items()}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: Capture) -> None:
    status, out, err = run(capsys, command, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: python3 -m scripts {command} ")
    assert f"\n{COMMANDS[command][1]}\n" in out
    flags = re.findall(r"^  (?:-\w, )?(--[a-z-]+)(?: [A-Z_]+)?(.*)$", out, re.MULTILINE)
    assert {"--cluster", "--run-dir"} <= {flag for flag, _ in flags}
    assert [flag for flag, text in flags if not text.strip()] == []


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["start"], "argument COMMAND: invalid choice: 'start' (choose from"),
        (["up", "--fast"], "unrecognized arguments: --fast"),
        (["up", "now"], "unrecognized arguments: now"),
        (["up", "--clus", "x.toml"], "unrecognized arguments: --clus x.toml"),
        (["down", "--run", "x"], "unrecognized arguments: --run x"),
        (["status", "--follow"], "unrecognized arguments: --follow"),
        (["logs", "--foll"], "unrecognized arguments: --foll"),
        (["logs", "--lines", "many"], "argument --lines: invalid int value: 'many'"),
        (["up", "--cluster"], "argument --cluster: expected one argument"),
    ],
)
def test_what_is_unknown_or_abbreviated_is_refused(arguments: list[str], fault: str, capsys: Capture) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert fault in err.splitlines()[-1]


def test_a_refusal_is_printed_line_by_line_without_a_traceback(tmp_path: Path) -> None:
    cluster = tmp_path / "cluster.toml"
    cluster.write_text("port = 0\nengine = 7\n[[models]]\nname = 'm'\nfolder = 'm'\n")
    command = [sys.executable, "-m", "scripts", "status", "--cluster", str(cluster)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"!! {cluster}: port: found 0, needed a port from 1 to 65535\n"
        f'!! {cluster}: engine: found 7, needed "auto" or "torch" or "openvino" or "onnxruntime"\n'
    )


@pytest.mark.parametrize("command", ["up", "rollout"])
def test_a_cluster_file_with_faults_leaves_nothing_behind(command: str, tmp_path: Path, capsys: Capture) -> None:
    cluster = tmp_path / "cluster.toml"
    cluster.write_text("ports = 1\n")
    status, out, err = run(capsys, command, "--cluster", cluster, "--run-dir", tmp_path / "run")
    assert (status, out) == (1, "")
    assert err.splitlines() == [
        f'!! {cluster}: ports: unknown key, did you mean "port"?',
        f"!! {cluster}: models: found [], needed one or several [[models]] tables",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["cluster.toml"]


def test_a_cluster_file_that_is_not_there_or_not_text_is_refused_in_one_line(tmp_path: Path, capsys: Capture) -> None:
    missing, binary = tmp_path / "missing.toml", tmp_path / "binary.toml"
    binary.write_bytes(b"port = \xff")
    for path, reason in (
        (missing, "No such file or directory: needed a file like the one in the repository"),
        (tmp_path, "Is a directory: needed a file like the one in the repository"),
        (binary, "byte 7 is not UTF-8: save the file as UTF-8"),
    ):
        assert run(capsys, "status", "--cluster", path) == (1, "", f"!! {path}: {reason}\n")


@pytest.mark.parametrize("command", ["up", "down", "logs", "rollout", "doctor"])
def test_no_command_touches_a_directory_that_is_no_run_directory(command: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert run(capsys, command, "--run-dir", tmp_path) == (
        1,
        "",
        f"!! {tmp_path}: found something else than a run directory, and would not take it away: "
        "give a path that is free with RUN_DIR=\n",
    )
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_interrupt_ends_a_command_without_a_traceback(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "cluster.toml")  # reading it waits for ever
    command = [sys.executable, "-m", "scripts", "status", "--cluster", str(tmp_path / "cluster.toml")]
    heard = {"preexec_fn": hear_signals, "text": True}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **heard) as process:  # type: ignore[call-overload]
        writer = os.open(tmp_path / "cluster.toml", os.O_WRONLY)  # returns once it is being read
        process.send_signal(signal.SIGINT)
        said, complaint = process.communicate()
        os.close(writer)
    assert (process.returncode, said, complaint) == (130, "", "!! interrupted\n")


# --- Only the standard library, and what scripts/_vendor holds ----------------------------------------------------


def bare_python(code: str) -> subprocess.CompletedProcess[str]:
    """Python from the repository's root with an empty environment, no site-packages and no user folder."""
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})


def test_the_command_line_starts_without_any_package() -> None:
    code = "import runpy; sys.argv = ['scripts', '--help']; runpy.run_module('scripts', run_name='__main__')"
    done = bare_python(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert COMMANDS["up"][1] in done.stdout
    assert bare_python("import requests").returncode != 0


def test_every_module_that_sets_up_needs_nothing_but_the_standard_library_and_what_is_vendored() -> None:
    found = pkgutil.walk_packages([str(ROOT / "scripts")], "scripts.")
    modules = [module.name for module in found if not module.name.startswith((*OWN_TOOLS, VENDORED))]
    assert {
        "scripts.runtimes.local.runtime",
        "scripts.cluster.plan",
        "scripts.render.common",
        "scripts.__main__",
    } <= set(modules)
    code = (
        f"import importlib; [importlib.import_module(name) for name in {modules!r}]; "
        "found = {name.partition('.')[0] for name, module in sys.modules.items() if module} - {'__main__'}; "
        "print(*(f'{name}={sys.modules[name].__file__}' for name in sorted(found - sys.stdlib_module_names)))"
    )
    done = bare_python(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert dict(one.split("=", 1) for one in done.stdout.split()) == {
        "scripts": f"{ROOT}/scripts/__init__.py",
        "tomlkit": f"{ROOT}/scripts/_vendor/tomlkit/__init__.py",
        "worker": f"{ROOT}/worker/__init__.py",
    }
