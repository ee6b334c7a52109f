import os
import pwd
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, parse_cluster
from scripts.cluster.plan import plan
from scripts.render.common import addresses
from scripts.render.gateway import listen_directive, members
from scripts.runtimes.run_directory import COPIES, MAX_SOCKET_PATH_BYTES, RunDir, run_dir
from tests.unit.hardware import recorded
from tests.unprivileged_user import UNPRIVILEGED, as_unprivileged

RENDERED = {"rendered/programs.conf": "; 工人\n", "gateway/rendered/listen.conf": "listen 1;\n"}
OWN = pwd.getpwuid(os.geteuid())


def run_dir_error(path: Path) -> tuple[str, ...]:
    with pytest.raises(CommandError) as error:
        run_dir(path)
    return error.value.lines


def test_create_writes_everything_the_processes_read(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "deep" / "run")
    run.create(RENDERED, OWN)
    found = {str(path.relative_to(run.path)): path for path in run.path.rglob("*") if not path.is_dir()}
    links = {name: path.resolve().relative_to(ROOT) for name, path in found.items() if path.is_symlink()}
    assert links == {"supervisord.conf": Path("scripts/runtimes/local/supervisord.conf")}
    assert all(path.is_file() for path in found.values())
    assert (run.path / "gateway/web").resolve() == ROOT / "nginx/web"
    assert run.kit == ROOT
    copies = {copy: (ROOT / source).read_text("utf-8") for copy, source in COPIES.items()}
    written = {name: path.read_text("utf-8") for name, path in found.items() if name not in links}
    assert written == {**copies, **RENDERED}
    assert run.logs.is_dir()
    assert (run.path / "gateway/tmp").is_dir()


def test_every_file_nginx_includes_is_linked_or_rendered(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    run.create({}, OWN)
    gateway = run.path / "gateway"
    includes = {
        line.split()[1].rstrip(";")
        for name in ("nginx.conf", "routes.conf", "errors.conf", "access.conf")
        for line in (gateway / name).read_text().splitlines()
        if line.strip().startswith("include ")
    }
    assert {name for name in includes if not (gateway / name).exists()} == {
        "rendered/listen.conf",
        "rendered/upstreams.conf",
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_as_root_the_account_can_write_and_cannot_replace_what_the_command_wrote(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    run = run_dir(tmp_path / "run")
    run.create(RENDERED, UNPRIVILEGED)
    own = {run.path / "logs", run.path / "cache", run.path / "gateway/tmp"}
    assert {path for path in run.path.rglob("*") if path.lstat().st_uid == UNPRIVILEGED.pw_uid} == own
    shared = {run.path, run.path / "gateway/rendered"}
    modes = {path: path.stat() for path in shared}
    assert {(status.st_uid, status.st_gid, status.st_mode & 0o7777) for status in modes.values()} == {
        (0, UNPRIVILEGED.pw_gid, 0o1775)
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be led to another account's file")
def test_a_link_in_the_place_of_a_draft_is_not_followed(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    run.create(RENDERED, UNPRIVILEGED)
    secret = tmp_path / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    (run.path / "gateway/rendered/.listen.conf.new").symlink_to(secret)
    run.write({"gateway/rendered/listen.conf": "listen 2;\n"})
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("root's", 0o600)
    assert (run.path / "gateway/rendered/listen.conf").read_text() == "listen 2;\n"


def test_of_an_earlier_run_only_the_logs_stay(tmp_path: Path) -> None:
    run_dir(tmp_path / "run").create({"logs/old.log": "old", "cache/old": ""}, OWN)
    run = run_dir(tmp_path / "run")
    run.create(RENDERED, OWN)
    assert (run.logs / "old.log").read_text() == "old"
    assert not (run.path / "cache/old").exists()
    run.remove()
    assert [path.name for path in run.path.rglob("*")] == ["logs", "old.log"]
    assert run_dir(run.path) == run
    (run.logs / "old.log").unlink()
    run.remove()
    assert not run.path.exists()


def test_a_link_in_the_place_of_the_logs_is_removed(tmp_path: Path) -> None:
    run, other = run_dir(tmp_path / "run"), tmp_path / "other"
    other.mkdir()
    run.create({}, OWN)
    run.logs.rmdir()
    run.logs.symlink_to(other)
    run.create({}, OWN)
    assert not run.logs.is_symlink()
    assert other.is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts a service under another account")
def test_the_account_of_the_last_run_puts_nothing_there_while_the_next_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, account = run_dir(tmp_path / "run"), pwd.getpwnam("nobody")
    run.create({"logs/old.log": "old"}, account)
    run.remove()
    assert (run.path.stat().st_gid, run.path.stat().st_mode & 0o020) == (account.pw_gid, 0o020)
    modes, remove = list[int](), RunDir.remove

    def observed(own: RunDir) -> None:
        modes.append(own.path.stat().st_mode & 0o022)
        remove(own)

    monkeypatch.setattr(RunDir, "remove", observed)
    run.create({}, account)
    assert modes == [0]


def test_a_link_is_no_file_of_the_directory(tmp_path: Path) -> None:
    run, secret = run_dir(tmp_path / "run"), tmp_path / "secret"
    run.create({}, OWN)
    secret.mkdir()
    (secret / "members.json").write_text("root's")
    (run.path / "compose.env").symlink_to(secret / "members.json")
    (run.path / "members").symlink_to(secret)
    assert (run.text("compose.env"), run.text("members/members.json")) == ("", "")


def test_has_files_compares_every_rendered_file(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    assert not run.has_files(RENDERED)
    run.create(RENDERED, OWN)
    assert run.has_files(RENDERED)
    assert not run.has_files(RENDERED | {"gateway/rendered/listen.conf": "listen 2;\n"})
    assert not run.has_files(RENDERED | {"rendered/more.conf": ""})


def test_remove_leaves_nothing_and_keeps_the_targets_of_links(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    run.create(RENDERED, OWN)
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


def test_an_unwritable_path_is_refused_and_left_unchanged() -> None:
    with pytest.raises(CommandError) as error:
        run_dir(Path("/proc/run")).create(RENDERED, OWN)
    assert error.value.lines == ("/proc/run: No such file or directory: needed a writable run directory",)
    assert not Path("/proc/run").exists()


def test_a_path_of_another_account_is_refused_in_one_line() -> None:
    path = Path("/run-of-wanwu")
    with as_unprivileged(), pytest.raises(CommandError) as error:
        run_dir(path).create(RENDERED, UNPRIVILEGED)
    assert error.value.lines == (f"{path}: Permission denied: needed a writable run directory",)


def test_the_ports_of_a_local_service_are_read_back(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    assert (run.ports, run.all_ports) == ({}, set())
    cluster = parse_cluster('port = 9000\n[[models]]\nname = "m"\nfolder = "m"\n', "c.toml")
    planned = plan(cluster, {"this": recorded("two-cores")})
    files = {
        "gateway/rendered/members.json": members(
            cluster, planned, addresses(cluster, planned, {"m-0": 9001, "m-1": 9002})
        )
    }
    run.create(files | {"gateway/rendered/listen.conf": listen_directive(cluster.port, True)}, OWN)
    assert run.ports == {"m-0": 9001, "m-1": 9002}
    assert run.all_ports == {9000, 9001, 9002}
    run.write({"gateway/rendered/members.json": "half"})
    assert (run.ports, run.all_ports) == ({}, {9000})


def test_a_run_directory_without_a_runtime_keeps_its_logs(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    run.create({"runtime": "local\n", "logs/gate.log": "why"}, OWN)
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


def test_the_caches_of_workers_that_are_gone_are_removed_and_no_link_is_followed(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    run.create({}, OWN)
    for folder in (run.path / "cache/photos-0", run.path / "cache/photos-1", tmp_path / "else/photos-1"):
        (folder / "compiled").mkdir(parents=True)
    run.remove_caches(["photos-0", "photos-7"])
    assert [path.name for path in (run.path / "cache").iterdir()] == ["photos-1"]
    (run.path / "cache").rename(run.path / "cache.old")
    (run.path / "cache").symlink_to(tmp_path / "else")
    run.remove_caches(["photos-1"])
    assert (tmp_path / "else/photos-1/compiled").is_dir()
