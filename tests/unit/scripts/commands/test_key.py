"""`make key` and `make key-revoke` while nothing runs, and the line of `make up` that says who can reach what."""

import re
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import parse_cluster
from scripts.cluster.keys import OWN_NAME, ensure_own_key, hash_of, keys_file, read_keys
from scripts.commands import ServiceOptions, key, key_revoke
from scripts.commands.up import describe_access

TOML = '[access]\nkeys = true\n[[models]]\nname = "photos"\nfolder = "worker/photos"\n'


@pytest.fixture
def service(tmp_path: Path) -> ServiceOptions:
    (tmp_path / "cluster.toml").write_text(TOML)
    return ServiceOptions(tmp_path / "cluster.toml", tmp_path / "run")


def test_a_key_is_shown_once_listed_and_revoked(service: ServiceOptions, capsys: pytest.CaptureFixture[str]) -> None:
    key.run(service, key.Options("line-3", "photos"))
    key.run(service, key.Options("line-3", role="admin"))
    output = capsys.readouterr().out
    texts = re.findall(r"^wanwu_\S+$", output, re.MULTILINE)
    cluster = service.load_cluster()
    kept = read_keys(cluster)
    assert [one.hash for one in kept] == [hash_of(text) for text in texts]
    assert [(one.role, one.models) for one in kept] == [("client", ("photos",)), ("admin", ())]
    assert "nothing is running here" in output

    key.run(service, key.Options())
    output = capsys.readouterr().out
    assert [line.split()[:3] for line in output.splitlines()][1:] == [
        ["line-3", "client", "photos"],
        ["line-3", "admin", "all"],
    ]
    assert not any(text.split("_", 2)[2] in output or one.hash in output for text, one in zip(texts, kept, strict=True))

    key_revoke.run(service, key_revoke.Options("line-3", kept[0].id))
    assert [one.id for one in read_keys(cluster) if one.name != OWN_NAME] == [kept[1].id]
    key_revoke.run(service, key_revoke.Options("line-3"))
    assert [one.name for one in read_keys(cluster)] == [OWN_NAME]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (key.Options("a", "photos,nope"), "MODELS: found nope, needed some of photos"),
        (key.Options("a b"), "NAME: found 'a b'"), (key.Options("a", role="root"), "ROLE: found 'root'"),
        (key.Options(OWN_NAME), f"NAME: found {OWN_NAME}"),
    ],
)  # fmt: skip
def test_a_key_that_cannot_be_made_leaves_no_file(service: ServiceOptions, options: key.Options, found: str) -> None:
    with pytest.raises(CommandError, match=f"^{re.escape(found)}"):
        key.run(service, options)
    assert not keys_file(service.load_cluster()).exists()


def test_only_a_key_that_is_there_can_be_revoked(service: ServiceOptions) -> None:
    with pytest.raises(CommandError, match=r"^NAME: found 'a', needed the name of a key: there are none"):
        key_revoke.run(service, key_revoke.Options("a"))
    key.run(service, key.Options("a"))
    with pytest.raises(CommandError, match=r"^ID: found 'x', needed one of [0-9a-f]{16}$"):
        key_revoke.run(service, key_revoke.Options("a", "x"))


def test_a_link_to_the_cluster_file_leads_to_its_keys(service: ServiceOptions, tmp_path: Path) -> None:
    (tmp_path / "kit").mkdir()
    link = tmp_path / "kit/cluster.toml"
    link.symlink_to(service.cluster)
    key.run(ServiceOptions(link, service.run_dir), key.Options("a"))
    assert [one.name for one in read_keys(service.load_cluster())] == ["a"]


def test_up_says_who_can_reach_what(service: ServiceOptions, tmp_path: Path) -> None:
    off = parse_cluster(TOML.replace("true", "false"), "c.toml")
    assert describe_access(off).startswith("open to everyone who reaches port 8080 of every address: keys are off")
    key.run(service, key.Options("a"))
    ensure_own_key(service.load_cluster())
    on = parse_cluster(TOML.replace("true", 'true\nadmin_from = ["10.0.0.0/8"]'), str(tmp_path / "cluster.toml"))
    assert describe_access(on).startswith(
        "port 8080 of every address asks for a key: 1 known (`make key`); the status is for admins and for 10.0.0.0/8;"
    )
