"""Backups: what comes back out of an archive, what stays beside it, and what is no archive."""

import tarfile
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bootstrap import archive


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    (folder / "tls").mkdir(parents=True)
    (folder / "cluster.toml").write_text("port = 1\n")
    (folder / "tls/server.key").write_text("secret")
    (folder / "tls/server.key").chmod(0o400)
    return folder


def written(tmp_path: Path, config: Path) -> Path:
    (tmp_path / "link").symlink_to(config)
    archive.write(tmp_path / "backup.tar.gz", {archive.CONFIG: tmp_path / "link"}, {"version": "1"})
    return tmp_path / "backup.tar.gz"


def test_everything_comes_back_and_what_differs_stays_beside_it(tmp_path: Path, config: Path) -> None:
    file, target = written(tmp_path, config), tmp_path / "etc"
    assert file.stat().st_mode & 0o777 == 0o600
    target.mkdir()
    (target / "cluster.toml").write_text("port = 2\n")
    (target / "other").write_text("other")
    with archive.unpacked(file) as (folder, about):
        assert about["version"] == "1"
        assert archive.put_back(folder / archive.CONFIG, target) == ["cluster.toml", "tls/server.key"]
        assert archive.put_back(folder / archive.CONFIG, target) == []
    assert not folder.exists()
    assert {str(path.relative_to(target)): path.read_text() for path in target.rglob("*") if path.is_file()} == {
        "cluster.toml": "port = 1\n",
        "cluster.toml.before-restore": "port = 2\n",
        "other": "other",
        "tls/server.key": "secret",
    }
    assert (target / "tls/server.key").stat().st_mode & 0o077 == 0


def test_what_is_no_whole_archive_of_ours_is_refused(tmp_path: Path, config: Path) -> None:
    file = written(tmp_path, config)
    whole = file.read_bytes()
    for broken in (b"", whole[: len(whole) // 2], b"text"):
        file.write_bytes(broken)
        with (
            pytest.raises(CommandError, match="needed a whole archive that `make backup` wrote"),
            archive.unpacked(file),
        ):
            pass
    archive.write(file, {}, {"format": 99})
    with pytest.raises(CommandError, match="found format 99, needed 1"), archive.unpacked(file):
        pass


@pytest.mark.parametrize(
    ("name", "kind"), [("../out", tarfile.REGTYPE), ("/tmp/out", tarfile.REGTYPE), ("link", tarfile.SYMTYPE)]
)
def test_what_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str, kind: bytes) -> None:
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as made:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        made.addfile(member)
    with pytest.raises(CommandError, match="needed files and folders"), archive.unpacked(tmp_path / "evil.tar.gz"):
        pass


def test_an_archive_that_cannot_be_written_leaves_nothing(tmp_path: Path, config: Path) -> None:
    with pytest.raises(CommandError, match="needed a file that can be written: set OUT="):
        archive.write(tmp_path / "nowhere/backup.tar.gz", {archive.CONFIG: config}, {})
    (tmp_path / "backup.tar.gz").mkdir()
    for out in (tmp_path / "backup.tar.gz", config / "cluster.toml/out", Path("/"), Path("/proc/out")):
        with pytest.raises(CommandError):
            archive.write(out, {archive.CONFIG: config}, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar.gz", "config"]
