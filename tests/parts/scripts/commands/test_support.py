"""`make support` on a machine where nothing runs: what the archive has, and what it has not."""

import os
import re
import tarfile
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.keys import ensure_own_key, keys_file, own_key, read_keys
from scripts.commands import ServiceOptions, cert, key, support
from scripts.runtimes.run_directory import run_dir

TOML = """
[access]
keys = true
[tls]
enabled = true
[[models]]
name = "photos"
folder = "worker/photos"
"""


def test_the_archive_has_what_finds_a_fault_and_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cluster.toml").write_text(TOML)
    service = ServiceOptions(tmp_path / "cluster.toml", tmp_path / "run", "local")
    cert.run(service, cert.Options("127.0.0.1"))
    key.run(service, key.Options("line-3"))
    (given,) = re.findall(r"^wanwu_\S+$", capsys.readouterr().out, re.MULTILINE)
    cluster = service.load_cluster()
    ensure_own_key(cluster)
    keys = keys_file(cluster)
    own = own_key(cluster)
    hashes = [one.hash for one in read_keys(cluster)]
    monkeypatch.setenv("WANWU_KEY", "a key of the caller")
    private = [path.read_text() for path in tmp_path.rglob("*.key") if "PRIVATE" in path.read_text()]
    # A careless program has logged everything.
    leaked = "\n".join([given, own, *hashes, *private, "PIP_INDEX_URL=https://me:pass-word@mirror/simple"])
    run = run_dir(service.run_dir)
    run.write(
        {
            "runtime": "local\n",
            "logs/photos-0.log": f"first\n{leaked}\na key of the caller\nlast\n",
            "logs/photos-0.log.1": "older\n",
        }
    )
    (tmp_path / "secret").write_text("root's own")
    (run.logs / "link.log").symlink_to(tmp_path / "secret")

    support.run(service, support.Options(str(tmp_path / "out.tar.gz")))
    printed = capsys.readouterr().out
    assert f"{tmp_path}/out.tar.gz: " in printed
    assert (tmp_path / "out.tar.gz").stat().st_mode & 0o777 == 0o600
    with tarfile.open(tmp_path / "out.tar.gz") as archive:
        texts = {
            name.partition("/")[2]: content.read().decode()
            for name in archive.getnames()
            if (content := archive.extractfile(name))
        }
    assert {
        "versions.txt", "status.json", "plan.txt", "hardware.json", "doctor.txt", "configuration/cluster.toml",
        "after-reboot.txt", "models/photos.toml", "configuration/runtime", "logs/photos-0.log",
    } == texts.keys()  # fmt: skip
    assert texts["logs/photos-0.log"].startswith("older\nfirst\n[removed]\n")
    assert texts["logs/photos-0.log"].endswith("\nlast\n")
    assert "ok  hardware: " in texts["doctor.txt"]
    assert "wanwu " in texts["versions.txt"]
    everything = "\n".join(texts.values())
    secrets = [given, own, given.split("_", 2)[2], "a key of the caller", "pass-word", "root's own", *hashes]
    secrets += [line for text in private for line in text.splitlines() if not line.startswith("-----")]
    assert len(hashes) > 1
    assert len(private) == 2
    assert [secret for secret in secrets if secret in everything] == []

    for out, fault in ((tmp_path / "out.tar.gz", "needed a path that is free"), (keys / "out", "needed a folder that")):
        with pytest.raises(CommandError, match=fault):
            support.run(service, support.Options(str(out)))


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary account may not read root's files anyway")
def test_a_fault_of_the_cluster_file_is_in_the_archive(tmp_path: Path) -> None:
    (tmp_path / "cluster.toml").write_text("prt = 1\n")
    service = ServiceOptions(tmp_path / "cluster.toml", tmp_path / "run", "local")
    support.run(service, support.Options(str(tmp_path / "out.tar.gz")))
    with tarfile.open(tmp_path / "out.tar.gz") as archive:
        (plan,) = [name for name in archive.getnames() if name.endswith("/plan.txt")]
        content = archive.extractfile(plan)
        assert content
        assert "!! " in content.read().decode()
