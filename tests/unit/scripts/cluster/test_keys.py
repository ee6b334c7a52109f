"""Keys: what is made, what is kept of it, and the file that keeps it."""

import base64
import hashlib
import os
import re
import stat
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, Cluster, parse_cluster
from scripts.cluster.keys import (
    KEYS_FILE,
    OWN_FILE,
    OWN_NAME,
    OWN_VARIABLE,
    changed_keys,
    ensure_own_key,
    hash_of,
    keys_file,
    new_key,
    own_key,
    parse_keys,
    read_keys,
)

TOML = '[access]\nkeys = true\n[[models]]\nname = "photos"\nfolder = "worker/photos"\n'


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.delenv(OWN_VARIABLE, raising=False)
    return parse_cluster(TOML, str(tmp_path / "cluster.toml"))


def add(cluster: Cluster, name: str) -> str:
    text, key = new_key(name, "client", ())
    with changed_keys(cluster) as keys:
        keys.append(key)
    return text


def test_a_key_has_256_random_bits_and_its_md5_is_kept() -> None:
    text, key = new_key("line-3", "client", ("b", "a", "b"))
    assert re.fullmatch(r"wanwu_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", text)
    assert len(base64.urlsafe_b64decode(text.split("_", 2)[2] + "=")) == 32
    assert text.split("_")[1] == key.id
    assert (
        base64.urlsafe_b64decode(key.hash + "==") == hashlib.new("md5", text.encode(), usedforsecurity=False).digest()
    )
    assert (key.name, key.role, key.models) == ("line-3", "client", ("a", "b"))
    assert new_key("line-3", "client", ())[0] != text


@pytest.mark.parametrize(
    ("name", "role", "models", "found"),
    [
        ("", "client", (), "NAME: found ''"), ("a b", "client", (), "NAME"), ("-a", "client", (), "NAME"),
        ("x" * 64, "client", (), "NAME"), ('a"', "client", (), "NAME"), ("a\n", "client", (), "NAME"),
        ("a", "root", (), "ROLE: found 'root', needed one of client, admin"), ("a", "admin", ("b",), "MODELS"),
    ],
)  # fmt: skip
def test_a_key_that_cannot_be_made_is_refused(name: str, role: str, models: tuple[str, ...], found: str) -> None:
    with pytest.raises(CommandError, match=f"^{re.escape(found)}"):
        new_key(name, role, models)


def test_the_file_holds_a_line_for_each_key_and_no_key(cluster: Cluster) -> None:
    texts = [add(cluster, name) for name in ("line-3", "line-3", "line-4")]
    path = keys_file(cluster)
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert path.parent == cluster.folder
    content = path.read_text()
    assert len(content.splitlines()) == 3
    assert not any(text.split("_", 2)[2] in content for text in texts)
    assert [(key.name, key.hash) for key in read_keys(cluster)] == [
        (name, hash_of(text)) for name, text in zip(("line-3", "line-3", "line-4"), texts, strict=True)
    ]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_nothing_is_written_if_a_change_fails(cluster: Cluster) -> None:
    add(cluster, "line-3")
    before = keys_file(cluster).stat().st_ino

    def fail() -> None:
        with changed_keys(cluster) as keys:
            keys.clear()
            raise CommandError("no such")

    with pytest.raises(CommandError, match="no such"):
        fail()
    with changed_keys(cluster):
        pass
    assert keys_file(cluster).stat().st_ino == before


def test_a_link_in_the_place_of_the_draft_is_not_followed(cluster: Cluster, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / f".{keys_file(cluster).name}.new").symlink_to(victim)
    add(cluster, "line-3")
    assert victim.read_text() == "kept"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "x",
        "1",
        "{}",
        '{"id": "x"}',
        '{"id":"0123456789abcdef","name":"a b","role":"client","models":[],"created":"","hash":"x"}',
    ],
)
def test_a_faulty_line_is_named(line: str) -> None:
    with pytest.raises(CommandError, match=r"^keys: line 1: .*remove it$"):
        parse_keys(f"{line}\n", "keys")


def test_the_commands_have_a_key_of_their_own(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_key(cluster) == ""
    add(cluster, "line-3")
    ensure_own_key(cluster)
    text = own_key(cluster)
    assert stat.S_IMODE((cluster.folder / OWN_FILE).stat().st_mode) == 0o400
    assert [(key.name, key.role) for key in read_keys(cluster)] == [("line-3", "client"), (OWN_NAME, "admin")]
    assert read_keys(cluster)[1].hash == hash_of(text)
    ensure_own_key(cluster)
    assert own_key(cluster) == text
    with changed_keys(cluster) as keys:  # revoked: the next start makes another
        del keys[1]
    ensure_own_key(cluster)
    assert own_key(cluster) != text
    monkeypatch.setenv(OWN_VARIABLE, "mine")
    assert own_key(cluster) == "mine"


def test_no_commit_and_no_bundle_takes_the_keys_along() -> None:
    assert {KEYS_FILE, OWN_FILE} <= set(
        (ROOT / ".gitignore").read_text().splitlines()
    )  # a kit is what git does not ignore


def test_without_keys_none_is_made(tmp_path: Path) -> None:
    off = parse_cluster(TOML.replace("true", "false"), str(tmp_path / "cluster.toml"))
    ensure_own_key(off)
    assert os.listdir(tmp_path) == []
