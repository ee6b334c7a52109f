import os
import pwd
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.runtimes.local.layout import create
from scripts.runtimes.run_directory import MAX_SOCKET_PATH_BYTES, RunDir, run_dir
from tests.unprivileged_user import UNPRIVILEGED

RENDERED = {"rendered/programs.conf": "; 工人\n", "gateway/rendered/listen.conf": "listen 1;\n"}
OWN = pwd.getpwuid(os.geteuid())


def run_dir_error(path: Path) -> tuple[str, ...]:
    with pytest.raises(CommandError) as error:
        run_dir(path)
    return error.value.lines


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be led to another account's file")
def test_a_link_in_the_place_of_a_draft_is_not_followed(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    create(run, RENDERED, UNPRIVILEGED)
    secret = tmp_path / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    (run.path / "gateway/rendered/.listen.conf.new").symlink_to(secret)
    run.write({"gateway/rendered/listen.conf": "listen 2;\n"})
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("root's", 0o600)
    assert (run.path / "gateway/rendered/listen.conf").read_text() == "listen 2;\n"


def test_a_link_is_no_file_of_the_directory(tmp_path: Path) -> None:
    run, secret = run_dir(tmp_path / "run"), tmp_path / "secret"
    create(run, {}, OWN)
    secret.mkdir()
    (secret / "members.json").write_text("root's")
    (run.path / "compose.env").symlink_to(secret / "members.json")
    (run.path / "members").symlink_to(secret)
    assert (run.text("compose.env"), run.text("members/members.json")) == ("", "")


def test_has_files_compares_every_rendered_file(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    assert not run.has_files(RENDERED)
    create(run, RENDERED, OWN)
    assert run.has_files(RENDERED)
    assert not run.has_files(RENDERED | {"gateway/rendered/listen.conf": "listen 2;\n"})
    assert not run.has_files(RENDERED | {"rendered/more.conf": ""})


def test_remove_leaves_nothing_and_keeps_the_targets_of_links(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    create(run, RENDERED, OWN)
    run.remove()
    run.remove()
    assert list(tmp_path.iterdir()) == []
    assert (ROOT / "nginx/web/index.html").is_file()


def test_the_socket_path_may_have_its_full_length_and_no_byte_more(tmp_path: Path) -> None:
    length = MAX_SOCKET_PATH_BYTES - len(os.fsencode(RunDir(tmp_path / "x").socket)) + 1
    longest = tmp_path / ("x" * length)
    assert len(os.fsencode(run_dir(longest).socket)) == MAX_SOCKET_PATH_BYTES
    longer = tmp_path / ("x" * (length + 1))
    assert run_dir_error(longer) == (
        f"{longer}: found a path that makes its socket paths longer than 107 bytes: "
        "clone into a shorter path, or set one with RUN_DIR=",
    )
    # 65 characters, 195 bytes
    assert "longer than 107 bytes" in run_dir_error(Path("/") / ("跑" * 65))[0]


def test_paths_that_supervisord_cannot_use_are_refused(tmp_path: Path) -> None:
    assert run_dir_error(tmp_path / "it's") == (
        f"{tmp_path}/it's: needed a path without quotes, backslashes, line breaks, trailing spaces, "
        "and spaces before ; or #",
    )
    assert run_dir_error(tmp_path / "100%") == (f"{tmp_path}/100%: needed a path without %: set one with RUN_DIR=",)
    assert run_dir(tmp_path / "my run 运行").path.parent == tmp_path


def test_a_directory_or_file_that_is_not_a_run_directory_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for path in (tmp_path, tmp_path / "thesis.txt", ROOT):
        assert run_dir_error(path) == (
            f"{path}: found something other than a run directory, and left it alone: set an unused path with RUN_DIR=",
        )
    (tmp_path / "empty").mkdir()
    assert run_dir(tmp_path / "empty").path == tmp_path / "empty"


def test_a_run_directory_without_a_runtime_keeps_its_logs(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    create(run, {"runtime": "local\n", "logs/gate.log": "why"}, OWN)
    assert run.runtime == "local"
    run.clear_runtime()
    run.clear_runtime()
    assert run.runtime is None
    assert run_dir(run.path).logs.joinpath("gate.log").read_text() == "why"


def test_files_can_be_read_by_other_accounts_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        run_dir(tmp_path / "run").write({"members.json": "{}"})
    finally:
        os.umask(before)
    assert (tmp_path / "run/members.json").stat().st_mode & 0o777 == 0o644


def test_the_logs_of_make_init_are_kept_and_do_not_prevent_a_start(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    (run.path / "init").mkdir(parents=True)
    (run.path / "init/one.log").write_text("-- one\n")
    (run.path / "other").mkdir()
    with pytest.raises(CommandError):
        run_dir(run.path)
    run.remove()
    assert run_dir(run.path) == run
    assert [path.name for path in run.path.rglob("*.*")] == ["one.log"]
