"""The record, and what undoes it: files and folders of a test's own."""

import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bootstrap import places
from scripts.bootstrap.executor import Executor
from scripts.bootstrap.files import UNDO, make_folder, put, write
from scripts.bootstrap.record import Record
from scripts.bootstrap.steps import LAST, STEPS
from scripts.bootstrap.steps import UNDO as ALL_UNDO
from tests.unit.scripts.bootstrap.killing import Killed, kill_at
from worker.contract.files import sha256

# As the bash of the release before wrote it on a bare Debian 12, with fewer packages and images.
EARLIER = """\
tree\t/var/lib/docker
dir\t/etc/cni
packages\tcontainerd docker.io python3
docker\tabsent
dir\t/opt/wanwu
tree\t/opt/wanwu/kit-0123456789ab
dir\t/var/lib/wanwu/models
dir\t/etc/wanwu
own\t/etc/wanwu/cluster.toml
link\t
kept\t/etc/fstab
mount\t
file\t/etc/wanwu/offline.env
kept\t/etc/docker/daemon.json
file\t/var/log/dockerd.log
loaded\twanwu-gate:1
swarm\t
"""
ONLY_ELSEWHERE = {"image", "moved"}  # with containerd's image store, and after the first releases


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_every_kind_that_earlier_releases_recorded_can_be_undone(record: Record) -> None:
    record.file.parent.mkdir(parents=True)
    record.file.write_text(EARLIER)
    kinds = [kind for kind, _ in record.entries()]
    assert {*kinds, *ONLY_ELSEWHERE} == ALL_UNDO.keys()
    assert (record.of("link"), record.of("own")) == ([""], ["/etc/wanwu/cluster.toml"])
    assert LAST.undo == {}
    assert sum(len(step.undo) for step in STEPS) + len(UNDO) == len(ALL_UNDO)  # each kind is one step's


def test_a_change_is_on_disk_before_it_is_made_and_only_once(record: Record) -> None:
    for _ in range(2):
        record.remember("dir", "/etc/wanwu")
    record.add("link", "kit-a")
    record.add("link", "kit-a")
    assert places.RECORD.read_text() == "dir\t/etc/wanwu\nlink\tkit-a\nlink\tkit-a\n"
    record.drop_last()
    assert record.entries() == [("dir", "/etc/wanwu"), ("link", "kit-a")]


def test_files_and_folders_are_as_before_after_undoing(record: Record, tmp_path: Path) -> None:
    places.FSTAB.parent.mkdir(parents=True)
    places.FSTAB.write_text("own\n")
    places.FSTAB.chmod(0o600)
    before = tree(tmp_path)
    write(record, places.FSTAB, "ours")
    write(record, places.FSTAB, "ours again")
    write(record, places.OFFLINE, "A=1")
    make_folder(record, places.VOLUME)
    assert (places.FSTAB.read_text(), places.OFFLINE.read_text()) == ("ours again\n", "A=1\n")
    assert places.FSTAB.stat().st_mode & 0o777 == 0o600
    Executor(record, dry_run=True).undo_to(0, UNDO)
    assert places.OFFLINE.exists()
    Executor(record, dry_run=False).undo_to(0, UNDO)
    assert tree(tmp_path) == before
    assert not places.KEPT.exists()
    assert not places.VOLUME.parent.exists()


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("own", [None, "own\n"])
def test_a_write_that_is_killed_at_any_effect_can_be_undone_and_repeated(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str | None, earlier: bool, again: bool
) -> None:
    """Each effect in turn is the first that does not come about."""
    if own:
        places.FSTAB.parent.mkdir(parents=True)
        places.FSTAB.write_text(own)
    before = tree(tmp_path)
    for reached in range(1, 100):
        if earlier:
            write(record, places.FSTAB, "of an earlier run")
        with monkeypatch.context() as patched:
            count = kill_at(patched, reached)
            with suppress(Killed):
                write(record, places.FSTAB, "ours")
        if again:
            write(record, places.FSTAB, "ours")
            assert places.FSTAB.read_text() == "ours\n"
        Executor(record, dry_run=False).undo_to(0, UNDO)
        shutil.rmtree(places.STATE, ignore_errors=True)  # where nothing is recorded yet, a copy may lie
        assert tree(tmp_path) == before
        if next(count) <= reached:
            break
    assert reached > 4


def test_files_of_a_server_that_the_release_before_has_set_up_are_restored(record: Record, tmp_path: Path) -> None:
    places.DAEMON_JSON.parent.mkdir(parents=True)
    places.DAEMON_JSON.write_text("{}")
    before = tree(tmp_path)
    kept = places.STATE / "kept" / places.DAEMON_JSON.relative_to("/")
    kept.parent.mkdir(parents=True)
    places.DAEMON_JSON.rename(kept)
    places.DAEMON_JSON.write_text('{"labels": []}\n')
    written = places.STATE / f"{str(places.DAEMON_JSON).replace('/', '_')}.written"
    written.write_text(f"{sha256(places.DAEMON_JSON)}\n")  # as `sha256sum | cut` prints it
    places.OFFLINE.parent.mkdir()
    for path in (places.OFFLINE, places.CLUSTER_FILE):
        path.write_text("A=1\n")
    places.CLUSTER_SUM.write_text(f"{sha256(places.CLUSTER_FILE)}  -\n")  # as `sha256sum <FILE` prints it
    entries = {"dir": places.OFFLINE.parent, "own": places.CLUSTER_FILE, "link": "", "file": places.OFFLINE}
    entries["kept"] = places.DAEMON_JSON
    places.RECORD.write_text("".join(f"{kind}\t{what}\n" for kind, what in entries.items()))
    Executor(record, dry_run=False).undo_to(0, ALL_UNDO)
    assert tree(tmp_path) == before
    assert not places.OFFLINE.parent.exists()


def test_what_somebody_has_edited_since_is_left_and_the_original_is_beside_it(record: Record) -> None:
    places.DAEMON_JSON.parent.mkdir(parents=True)
    places.DAEMON_JSON.write_text("{}")
    write(record, places.DAEMON_JSON, "ours")
    places.DAEMON_JSON.write_text("theirs")
    Executor(record, dry_run=False).undo_to(0, UNDO)
    assert places.DAEMON_JSON.read_text() == "theirs"
    assert places.DAEMON_JSON.with_name("daemon.json.before-wanwu").read_text() == "{}"


def test_folders_that_others_use_stay(record: Record) -> None:
    make_folder(record, places.VOLUME)
    (places.VOLUME.parent / "theirs").touch()
    Executor(record, dry_run=False).undo_to(0, UNDO)
    assert [path.name for path in places.VOLUME.parent.iterdir()] == ["theirs"]


def test_a_file_with_the_right_text_needs_no_change(record: Record) -> None:
    assert [change.description for change in put(record, places.PROFILE, "text")] == [f"write {places.PROFILE}"]
    write(record, places.PROFILE, "text")
    assert put(record, places.PROFILE, "text") == []


def test_undoing_stops_at_the_mark_and_after_a_fault_goes_on_where_it_stopped(record: Record) -> None:
    undone: list[str] = []

    def undo(_: Record, what: str) -> None:
        if what == "c" and "c!" not in undone:
            undone.append("c!")
            raise CommandError("in use")
        undone.append(what)

    for what in "abcd":
        record.add("thing", what)
    executor = Executor(record, dry_run=False)
    with pytest.raises(CommandError):
        executor.undo_to(1, {"thing": undo})
    assert (undone, record.of("thing")) == (["d", "c!"], ["a", "b", "c"])
    executor.undo_to(1, {"thing": undo})
    assert (undone, record.of("thing")) == (["d", "c!", "c", "b"], ["a"])
