"""The kit's link, cluster.toml and what an early kit was, on files of the test's own."""

from contextlib import suppress
from pathlib import Path

import pytest

from scripts.bootstrap import places
from scripts.bootstrap.executor import Executor
from scripts.bootstrap.options import Options
from scripts.bootstrap.record import Record
from scripts.bootstrap.server import Bundle, Kit, Packages, Server, Volume
from scripts.bootstrap.steps import UNDO, kit, old_kits
from tests.unit.scripts.bootstrap.killing import Killed, kill_at


@pytest.fixture
def server(record: Record, tmp_path: Path) -> Server:
    """A server with the kits a and b, of which a serves, and no cluster.toml; the bundle brings b."""
    for name in ("kit-a", "kit-b"):
        (places.KITS / name / "compose").mkdir(parents=True)
        (places.KITS / name / "compose/cluster.default.toml").write_text("port = 8080\n")
    (places.KITS / "kit-b/.sha256").write_text("sum-b\n")
    places.KIT.symlink_to("kit-a")
    places.STATE.mkdir(parents=True)
    bundle = Bundle(tmp_path, "2026-11-02T08:00:00+00:00", "b", tmp_path / "kit.tar.gz", (), {})
    return Server(
        Options(), record, tmp_path, "debian-12", "a", bundle, Kit(places.KITS / "kit-b", "sum-b", "kit-a"), None, 8080,
        False, Volume("/m", "none", "bind"), Packages(None), None,
    )  # fmt: skip


def carry_out(server: Server) -> list[str]:
    """Carry out the step, and return what it changed, without the test's folder."""
    descriptions = []
    for change in kit.changes(server):
        descriptions.append(change.description.replace(str(places.KITS.parents[1]), ""))
        change.make()
    return descriptions


def test_a_kit_that_is_there_is_linked_and_cluster_toml_is_the_operators_from_then_on(server: Server) -> None:
    assert carry_out(server) == [
        "create /var/lib/wanwu/models",
        "write /etc/wanwu/cluster.toml, which is yours to edit from now on",
        "link /opt/wanwu/kit to /opt/wanwu/kit-b",
    ]
    assert places.KIT.readlink() == Path("kit-b")
    assert places.CLUSTER_FILE.read_text() == "port = 8080\n"
    Executor(server.record, dry_run=False).undo_to(0, UNDO)
    assert places.KIT.readlink() == Path("kit-a")
    assert not places.CLUSTER_FILE.parent.exists()


def test_a_cluster_toml_that_was_edited_survives_undoing(server: Server) -> None:
    carry_out(server)
    places.CLUSTER_FILE.write_text("port = 9000\n")
    Executor(server.record, dry_run=False).undo_to(0, UNDO)
    assert places.CLUSTER_FILE.read_text() == "port = 9000\n"


def test_a_run_that_is_killed_at_any_effect_leaves_no_cluster_toml_that_undoing_takes_for_the_operators(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for reached in range(1, 100):
        places.STATE.mkdir(parents=True, exist_ok=True)
        with monkeypatch.context() as patched:
            count = kill_at(patched, reached)
            with suppress(Killed):
                carry_out(server)
        Executor(server.record, dry_run=False).undo_to(0, UNDO)
        assert not places.CLUSTER_FILE.exists()
        if next(count) <= reached:
            break
    assert reached > 5


def test_a_kit_that_was_moved_aside_comes_back(server: Server) -> None:
    places.KIT.unlink()
    places.KIT_ASIDE.mkdir()
    server.record.add("moved", f"{places.KIT} {places.KIT_ASIDE}")
    Executor(server.record, dry_run=False).undo_to(0, UNDO)
    assert places.KIT.is_dir()
    assert not places.KIT_ASIDE.exists()


def test_the_kit_before_is_kept_and_all_others_go(server: Server) -> None:
    for name in ("kit-0", "kit-before"):
        (places.KITS / name).mkdir()
    removed = [change.description.rpartition("/")[2] for change in old_kits.changes(server)]
    assert sorted(removed) == ["kit-0", "kit-before"]
