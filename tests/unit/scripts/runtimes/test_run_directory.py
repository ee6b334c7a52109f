import os
import pwd
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, parse_cluster
from scripts.cluster.plan import plan
from scripts.render.common import addresses, listen_directive, members
from scripts.runtimes.run_directory import LONGEST_SOCKET, RunDir, run_dir
from tests.unit.hardware import recorded
from tests.unprivileged_user import UNPRIVILEGED, as_unprivileged

RENDERED = {"rendered/programs.conf": "; 工人\n", "gateway/rendered/listen.conf": "listen 1;\n"}
OWN = pwd.getpwuid(os.geteuid())


def refused(path: Path) -> tuple[str, ...]:
    with pytest.raises(CommandError) as refusal:
        run_dir(path)
    return refusal.value.lines


def test_everything_the_processes_read_is_there_after_create(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "deep" / "run")
    run.create(RENDERED, OWN)
    found = {str(path.relative_to(run.path)): path for path in run.path.rglob("*") if not path.is_dir()}
    links = {name: path.resolve().relative_to(ROOT) for name, path in found.items() if path.is_symlink()}
    assert links == {
        "supervisord.conf": Path("scripts/runtimes/local/supervisord.conf"),
        "gateway/nginx.conf": Path("nginx/nginx.conf"),
        "gateway/routes.conf": Path("nginx/routes.conf"),
        "gateway/errors.conf": Path("nginx/errors.conf"),
    }
    assert all(path.is_file() for path in found.values())
    assert (run.path / "gateway/web").resolve() == ROOT / "nginx/web"
    assert {name: path.read_text("utf-8") for name, path in found.items() if name not in links} == RENDERED
    assert run.logs.is_dir()
    assert (run.path / "gateway/tmp").is_dir()


def test_every_file_nginx_includes_is_linked_or_rendered(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    run.create({}, OWN)
    gateway = run.path / "gateway"
    includes = {
        line.split()[1].rstrip(";")
        for name in ("nginx.conf", "routes.conf", "errors.conf")
        for line in (gateway / name).read_text().splitlines()
        if line.strip().startswith("include ")
    }
    assert {name for name in includes if not (gateway / name).exists()} == {
        "rendered/listen.conf",
        "rendered/upstreams.conf",
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_as_root_all_of_it_is_given_to_the_account_and_nothing_outside(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    run.create(RENDERED, UNPRIVILEGED)
    everything = [run.path, *run.path.rglob("*")]
    assert {path.lstat().st_uid for path in everything} == {UNPRIVILEGED.pw_uid}
    assert {path.lstat().st_gid for path in everything} == {UNPRIVILEGED.pw_gid}
    assert (ROOT / "nginx/nginx.conf").stat().st_uid == ROOT.stat().st_uid


def test_create_takes_away_what_an_earlier_one_left(tmp_path: Path) -> None:
    run_dir(tmp_path / "run").create({"logs/old.log": "old"}, OWN)
    run = run_dir(tmp_path / "run")
    run.create(RENDERED, OWN)
    assert list(run.logs.iterdir()) == []


def test_holds_compares_every_rendered_file(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    assert not run.holds(RENDERED)
    run.create(RENDERED, OWN)
    assert run.holds(RENDERED)
    assert not run.holds(RENDERED | {"gateway/rendered/listen.conf": "listen 2;\n"})
    assert not run.holds(RENDERED | {"rendered/more.conf": ""})


def test_remove_leaves_nothing_and_keeps_what_the_links_point_to(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    run.create(RENDERED, OWN)
    run.remove()
    run.remove()
    assert list(tmp_path.iterdir()) == []
    assert (ROOT / "nginx/web/index.html").is_file()


def test_the_sockets_path_may_have_its_full_length_and_no_byte_more(tmp_path: Path) -> None:
    room = LONGEST_SOCKET - len(os.fsencode(RunDir(tmp_path / "x").socket)) + 1
    longest = tmp_path / ("x" * room)
    assert len(os.fsencode(run_dir(longest).socket)) == LONGEST_SOCKET
    longer = tmp_path / ("x" * (room + 1))
    assert refused(longer) == (
        f"{longer}: found a path so long that sockets inside have more than 107 bytes: "
        "clone into a shorter path, or give one with RUN_DIR=",
    )
    # 65 characters, 195 bytes
    assert "more than 107 bytes" in refused(Path("/") / ("跑" * 65))[0]


def test_paths_that_supervisord_cannot_be_told_are_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "it's") == (
        f"{tmp_path}/it's: needed a path without quotes, backslashes, line breaks, trailing spaces, "
        "and spaces before ; or #",
    )
    assert refused(tmp_path / "100%") == (f"{tmp_path}/100%: needed a path without %: give one with RUN_DIR=",)
    assert run_dir(tmp_path / "my run 运行").path.parent == tmp_path


def test_a_directory_or_file_that_is_no_run_directory_is_never_taken_away(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for path in (tmp_path, tmp_path / "thesis.txt", ROOT):
        assert refused(path) == (
            f"{path}: found something else than a run directory, and would not take it away: "
            "give a path that is free with RUN_DIR=",
        )
    (tmp_path / "empty").mkdir()
    assert run_dir(tmp_path / "empty").path == tmp_path / "empty"


def test_a_place_that_cannot_be_written_is_refused_and_left_as_it_was() -> None:
    with pytest.raises(CommandError) as refusal:
        run_dir(Path("/proc/run")).create(RENDERED, OWN)
    assert refusal.value.lines == ("/proc/run: No such file or directory: needed a run directory that can be written",)
    assert not Path("/proc/run").exists()


def test_a_place_that_is_anothers_is_refused_in_one_line() -> None:
    path = Path("/run-of-wanwu")
    with as_unprivileged(), pytest.raises(CommandError) as refusal:
        run_dir(path).create(RENDERED, UNPRIVILEGED)
    assert refusal.value.lines == (f"{path}: Permission denied: needed a run directory that can be written",)


def test_the_ports_that_a_local_service_was_given_are_remembered(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    assert (run.ports, run.held_ports) == ({}, set())
    cluster = parse_cluster('port = 9000\n[[models]]\nname = "m"\nfolder = "m"\n', "c.toml")
    planned = plan(cluster, {"this": recorded("two-cores")})
    listed = {
        "gateway/rendered/members.json": members(
            cluster, planned, addresses(cluster, planned, {"m-0": 9001, "m-1": 9002})
        )
    }
    run.create(listed | {"gateway/rendered/listen.conf": listen_directive(cluster.port)}, OWN)
    assert run.ports == {"m-0": 9001, "m-1": 9002}
    assert run.held_ports == {9000, 9001, 9002}
    run.write({"gateway/rendered/members.json": "half"})
    assert (run.ports, run.held_ports) == ({}, {9000})


def test_a_run_directory_that_is_disowned_serves_nothing_and_keeps_its_logs(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    run.create({"runtime": "local\n", "logs/gate.log": "why"}, OWN)
    assert run.runtime == "local"
    run.disown()
    run.disown()
    assert run.runtime is None
    assert run_dir(run.path).logs.joinpath("gate.log").read_text() == "why"


def test_what_is_written_can_be_read_under_other_accounts_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        run_dir(tmp_path / "run").write({"members.json": "{}"})
    finally:
        os.umask(before)
    assert (tmp_path / "run/members.json").stat().st_mode & 0o777 == 0o644


def test_what_servers_said_to_make_init_is_kept_and_in_nobodys_way(tmp_path: Path) -> None:
    run = run_dir(tmp_path / "run")
    (run.path / "init").mkdir(parents=True)
    (run.path / "init/one.log").write_text("-- one\n")
    (run.path / "logs").mkdir()
    with pytest.raises(CommandError):
        run_dir(run.path)
    run.remove()
    assert run_dir(run.path) == run
    assert [path.name for path in run.path.rglob("*.*")] == ["one.log"]
