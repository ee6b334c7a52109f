"""What the processes of a service find in a run directory, and what their account may do there."""

import os
import pwd
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.runtimes.local.layout import COPIES, create, kit_in, remove_caches
from scripts.runtimes.run_directory import RunDir, run_dir
from tests.unprivileged_user import UNPRIVILEGED, as_unprivileged

RENDERED = {"rendered/programs.conf": "; 工人\n", "gateway/rendered/listen.conf": "listen 1;\n"}
OWN = pwd.getpwuid(os.geteuid())


def test_create_writes_everything_the_processes_read(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "deep" / "run")
    create(run, RENDERED, OWN)
    found = {str(path.relative_to(run.path)): path for path in run.path.rglob("*") if not path.is_dir()}
    links = {name: path.resolve().relative_to(ROOT) for name, path in found.items() if path.is_symlink()}
    assert links == {"supervisord.conf": Path("scripts/runtimes/local/supervisord.conf")}
    assert all(path.is_file() for path in found.values())
    assert (run.path / "gateway/web").resolve() == ROOT / "nginx/web"
    assert kit_in(run) == ROOT
    copies = {copy: (ROOT / source).read_text("utf-8") for copy, source in COPIES.items()}
    written = {name: path.read_text("utf-8") for name, path in found.items() if name not in links}
    assert written == {**copies, **RENDERED}
    assert run.logs.is_dir()
    assert (run.path / "gateway/tmp").is_dir()


def test_every_file_nginx_includes_is_linked_or_rendered(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    create(run, {}, OWN)
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
    create(run, RENDERED, UNPRIVILEGED)
    own = {run.path / "logs", run.path / "cache", run.path / "gateway/tmp"}
    assert {path for path in run.path.rglob("*") if path.lstat().st_uid == UNPRIVILEGED.pw_uid} == own
    shared = {run.path, run.path / "gateway/rendered"}
    modes = {path: path.stat() for path in shared}
    assert {(status.st_uid, status.st_gid, status.st_mode & 0o7777) for status in modes.values()} == {
        (0, UNPRIVILEGED.pw_gid, 0o1775)
    }


def test_of_an_earlier_run_only_the_logs_stay(tmp_path: Path) -> None:
    create(run_dir(tmp_path / "run"), {"logs/old.log": "old", "cache/old": ""}, OWN)
    run = run_dir(tmp_path / "run")
    create(run, RENDERED, OWN)
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
    create(run, {}, OWN)
    run.logs.rmdir()
    run.logs.symlink_to(other)
    create(run, {}, OWN)
    assert not run.logs.is_symlink()
    assert other.is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts a service under another account")
def test_the_account_of_the_last_run_puts_nothing_there_while_the_next_one_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, account = run_dir(tmp_path / "run"), pwd.getpwnam("nobody")
    create(run, {"logs/old.log": "old"}, account)
    run.remove()
    assert (run.path.stat().st_gid, run.path.stat().st_mode & 0o020) == (account.pw_gid, 0o020)
    modes, remove = list[int](), RunDir.remove

    def observed(own: RunDir) -> None:
        modes.append(own.path.stat().st_mode & 0o022)
        remove(own)

    monkeypatch.setattr(RunDir, "remove", observed)
    create(run, {}, account)
    assert modes == [0]


def test_an_unwritable_path_is_refused_and_left_unchanged() -> None:
    with pytest.raises(CommandError) as error:
        create(run_dir(Path("/proc/run")), RENDERED, OWN)
    assert error.value.lines == ("/proc/run: No such file or directory: needed a writable run directory",)
    assert not Path("/proc/run").exists()


def test_a_path_of_another_account_is_refused_in_one_line() -> None:
    path = Path("/run-of-wanwu")
    with as_unprivileged(), pytest.raises(CommandError) as error:
        create(run_dir(path), RENDERED, UNPRIVILEGED)
    assert error.value.lines == (f"{path}: Permission denied: needed a writable run directory",)


def test_the_caches_of_workers_that_are_gone_are_removed_and_no_link_is_followed(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    create(run, {}, OWN)
    for folder in (run.path / "cache/photos-0", run.path / "cache/photos-1", tmp_path / "else/photos-1"):
        (folder / "compiled").mkdir(parents=True)
    remove_caches(run, ["photos-0", "photos-7"])
    assert [path.name for path in (run.path / "cache").iterdir()] == ["photos-1"]
    (run.path / "cache").rename(run.path / "cache.old")
    (run.path / "cache").symlink_to(tmp_path / "else")
    remove_caches(run, ["photos-1"])
    assert (tmp_path / "else/photos-1/compiled").is_dir()
