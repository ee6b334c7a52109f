"""Tests of the command line, run as a shell runs it."""

import re
from pathlib import Path

import pytest

from scripts import commands
from scripts.__main__ import main
from scripts.commands import Command, NoOptions, ServiceOptions
from tests.full_disk import no_room
from tests.unprivileged_user import as_unprivileged
from worker.contract.files import write_atomically

Capture = pytest.CaptureFixture[str]
HELP = {name: commands.load(name).help for name in commands.names()}


def run(capsys: Capture, *arguments: object) -> tuple[int, str, str]:
    """Return the exit status, standard output and standard error."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as end:
        status = int(end.code or 0)
    output = capsys.readouterr()
    return status, output.out, output.err


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # argparse wraps its help at this width


def test_help_lists_the_commands_and_a_missing_command_is_an_error(capsys: Capture) -> None:
    status, out, err = run(capsys)
    assert (status, out) == (2, "")
    assert err.endswith("error: the following arguments are required: COMMAND\n")
    status, out, err = run(capsys, "--help")
    assert (status, err) == (0, "")
    listed = dict(re.findall(r"^    ([a-z0-9-]+)\s+(.+)$", out, re.MULTILINE))
    assert listed == HELP


@pytest.mark.parametrize("command", HELP)
def test_every_command_has_help(command: str, capsys: Capture) -> None:
    status, out, err = run(capsys, command, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: python3 -m scripts {command} ")
    assert f"\n{HELP[command]}\n" in out
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
def test_unknown_or_abbreviated_arguments_are_refused(arguments: list[str], fault: str, capsys: Capture) -> None:
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert fault in err.splitlines()[-1]


@pytest.mark.parametrize("command", ["up", "rollout"])
def test_a_cluster_file_with_faults_leaves_nothing_behind(command: str, tmp_path: Path, capsys: Capture) -> None:
    cluster = tmp_path / "cluster.toml"
    cluster.write_text("ports = 1\n")
    status, out, err = run(capsys, command, "--cluster", cluster, "--run-dir", tmp_path / "run")
    assert (status, out) == (1, "")
    assert err.splitlines() == [
        f'!! {cluster}: ports: unknown key, did you mean "port"?',
        f"!! {cluster}: models: found [], needed one or more [[models]] tables",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["cluster.toml"]


def test_a_cluster_file_that_is_missing_or_not_text_is_refused_in_one_line(tmp_path: Path, capsys: Capture) -> None:
    missing, binary = tmp_path / "missing.toml", tmp_path / "binary.toml"
    binary.write_bytes(b"port = \xff")
    for path, reason in (
        (missing, "No such file or directory: needed a file like the one in the repository"),
        (tmp_path, "Is a directory: needed a file like the one in the repository"),
        (binary, "byte 7 is not UTF-8: save the file as UTF-8"),
    ):
        assert run(capsys, "status", "--cluster", path) == (1, "", f"!! {path}: {reason}\n")


@pytest.mark.parametrize("command", ["up", "down", "logs", "rollout", "doctor"])
def test_no_command_touches_a_directory_that_is_not_a_run_directory(
    command: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert run(capsys, command, "--run-dir", tmp_path) == (
        1,
        "",
        f"!! {tmp_path}: found something other than a run directory, and left it alone: "
        "set an unused path with RUN_DIR=\n",
    )
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("command", ["bench", "chaos", "client-wheel", "fuzz"])
def test_an_out_that_cannot_be_written_ends_in_a_line(command: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file/below", "/proc/nowhere/out"):
        status, _, err = run(capsys, command, f"--out={out}")
        assert (status, err.count("\n"), err[:3]) == (1, 1, "!! ")
        assert "OUT" in err


def test_a_disk_without_room_and_a_folder_of_others_end_in_a_line(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(service: ServiceOptions, options: NoOptions) -> None:
        write_atomically(tmp_path / "file", "text")

    monkeypatch.setattr(commands, "load", lambda name: Command("write", NoOptions, write))
    tmp_path.chmod(0o755)
    remedy = "needed free space, and permission to read and write"
    with no_room():
        assert run(capsys, "history") == (1, "", f"!! {tmp_path}/file: File too large: {remedy}\n")
    with as_unprivileged():
        assert run(capsys, "history") == (1, "", f"!! {tmp_path}/.file.new: Permission denied: {remedy}\n")
    (tmp_path / "file").mkdir()
    with pytest.raises(IsADirectoryError):  # a fault of the kit's: its traceback is needed
        run(capsys, "history")
