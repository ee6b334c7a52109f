"""`make backup` beside commands that change what it reads."""

import tarfile
from pathlib import Path
from threading import Thread

import pytest

from scripts.base.lock import exclusive
from scripts.cluster.keys import KEYS_FILE, changed_keys, new_key
from scripts.commands import ServiceOptions, backup
from scripts.models.verified import RECORDS_FILE
from tests.wait import until


def test_a_backup_waits_for_what_changes_and_has_nothing_unfinished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    service = ServiceOptions(tmp_path / "cluster.toml", tmp_path / "run")
    service.cluster.write_text('[[models]]\nname = "photos"\nfolder = "worker/photos"\n')
    models, archive = tmp_path / "models", tmp_path / "backup.tar.gz"
    for file in ("mine/model.toml", ".new.new/model.toml", ".fetch/half", RECORDS_FILE):
        (models / file).parent.mkdir(parents=True, exist_ok=True)
        (models / file).touch()

    def holder() -> str:
        try:
            return service.lock.read_text()
        except FileNotFoundError:
            return ""

    writing = Thread(target=backup.run, args=(service, backup.Options(archive, models)))
    with changed_keys(service.load_cluster()) as keys:
        with exclusive(service.lock, "rollout"):
            writing.start()
            until("it waits", lambda: "-- waiting for make rollout (process " in capsys.readouterr().out)
            assert not archive.exists()
        until("it is at work", lambda: "make backup" in holder())
        keys.append(new_key("late", "client", ())[1])
    writing.join()

    assert not service.lock.exists()
    with tarfile.open(archive) as written:
        config = {"config", "config/cluster.toml", f"config/{KEYS_FILE}"}
        finished = {"models/mine", "models/mine/model.toml", f"models/{RECORDS_FILE}"}
        assert set(written.getnames()) == {"backup.json"} | config | finished
        kept = written.extractfile(f"config/{KEYS_FILE}")
        assert kept is not None
        assert b'"late"' in kept.read()
