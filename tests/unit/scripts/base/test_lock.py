import os
import re
from pathlib import Path
from threading import Thread

import pytest

from scripts import commands
from scripts.__main__ import main
from scripts.base.errors import CommandError
from scripts.base.lock import exclusive
from tests.full_disk import no_room
from tests.service import PHOTOS, free_ports
from tests.unprivileged_user import as_unprivileged
from tests.wait import until

CHANGES = {"cert", "down", "drain", "restore", "rollback", "rollout", "up", "use"}


def refusal(path: Path) -> str:
    with pytest.raises(CommandError) as caught, exclusive(path, "down"):
        pytest.fail("two hold the lock")
    return str(caught.value)


def test_a_second_command_says_which_is_at_work(tmp_path: Path) -> None:
    lock = tmp_path / "run.lock"
    with exclusive(lock, "up"):
        holder = rf"make up \(process {os.getpid()}, by \w+, since 2\d\d\d-\d\d-\d\d \d\d:\d\d:\d\d\)"
        assert re.fullmatch(rf"found {holder} at work on this service, needed it to end first: .*", refusal(lock))
    assert not lock.exists()
    with exclusive(lock, "down"):
        assert "make down" in lock.read_text()


def test_the_lock_is_free_after_a_fault_and_after_a_kill(tmp_path: Path) -> None:
    lock = tmp_path / "run.lock"
    with pytest.raises(CommandError), exclusive(lock, "up"):
        raise CommandError("it failed")
    lock.write_text("make teach, which was killed while it wrote its name, a longer one than the next")
    with exclusive(lock, "up"):
        assert lock.read_text().startswith("make up (process ")
        assert "teach" not in lock.read_text()


def test_a_link_is_not_followed_and_locks_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "run.lock").symlink_to("secret")
    with exclusive(tmp_path / "run.lock", "up"):
        assert (tmp_path / "secret").read_text() == "secret"


def test_without_a_place_for_it_the_command_speaks_for_itself(tmp_path: Path) -> None:
    with exclusive(tmp_path / "missing/run.lock", "down"):
        pass
    tmp_path.chmod(0o755)
    with as_unprivileged(), exclusive(tmp_path / "run.lock", "down"):
        pass


def test_on_a_full_disk_the_lock_holds_without_a_name_and_down_and_status_end_without_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--runtime=local", f"--run-dir={tmp_path}/run", f"--cluster={tmp_path}/cluster.toml"]
    (tmp_path / "cluster.toml").write_text(f"port = {free_ports(1)}\n{PHOTOS}")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/runtime").write_text("local\n")
    with no_room():
        with exclusive(tmp_path / "run.lock", "up"):
            assert "found another command at work" in refusal(tmp_path / "run.lock")
        assert main(["status", *place]) == 1
        assert capsys.readouterr().err.startswith("!! no gateway answers at ")
        assert main(["key", "--name=line", *place]) == 1
        assert capsys.readouterr().err.startswith("!! /")
        assert main(["down", *place]) == 0
    assert not (tmp_path / "run").exists()


def test_a_patient_command_says_what_it_waits_for_and_goes_on_after_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock, done = tmp_path / "run.lock", []

    def teach() -> None:
        with exclusive(lock, "teach", patient=True):
            done.append("teach")

    teaching = Thread(target=teach)
    with exclusive(lock, "up"):
        teaching.start()
        until("it waits", lambda: "-- waiting for make up (process " in capsys.readouterr().out)
        done.append("up")
    teaching.join()
    assert done == ["up", "teach"]
    assert not lock.exists()


def test_exactly_the_commands_that_change_a_service_are_exclusive() -> None:
    assert {name for name in commands.names() if commands.load(name).exclusive} == CHANGES


def test_a_command_is_refused_while_another_holds_the_lock_of_its_run_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    down = ["down", "--runtime=local", "--run-dir"]
    with exclusive(tmp_path / "run.lock", "rollout"):
        assert main([*down, str(tmp_path / "run")]) == 1
        assert "found make rollout (process" in capsys.readouterr().err
        assert main([*down, str(tmp_path / "other")]) == 0
    assert main([*down, str(tmp_path / "run")]) == 0


def test_a_command_that_changes_nothing_never_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cluster.toml").write_text('[[models]]\nname = "photos"\nfolder = "worker/photos"\n')
    key = ["key", f"--cluster={tmp_path}/cluster.toml", f"--run-dir={tmp_path}/run"]
    with exclusive(tmp_path / "run.lock", "up"):
        assert main(key) == 0
    assert capsys.readouterr().err == ""
