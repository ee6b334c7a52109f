"""Tests of replacing a model in cluster.toml without changing any other line."""

import os
import stat
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, parse_cluster
from scripts.cluster.edit import replace_text, require_replaceable, with_model
from tests.unprivileged_user import as_unprivileged

NEW = {"name": "new", "folder": "models/new"}


def error_line(text: str, index: int = 0) -> str:
    with pytest.raises(CommandError) as error:
        with_model(text, "c.toml", index, NEW)
    (line,) = error.value.lines
    return line


def test_the_committed_file_keeps_its_comments() -> None:
    text = (ROOT / "compose/cluster.toml").read_text()
    edited = with_model(text, "c.toml", 0, NEW)
    assert edited == text.replace('name = "photos"', 'name = "new"').replace('"worker/photos"', '"models/new"')
    assert parse_cluster(edited, "c.toml").models[0].folder == ROOT / "models/new"


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize(
    "text",
    [
        '[[models]]\nname = "a"\nfolder = "a"\n[[models]]\nname = "b"\nfolder = "b"\n',
        "\r\n[[ models ]] # one\r\n\tfolder='a'#x\r\n name   =\t'a'  # y\r\n[[ models ]]\r\nname='b'\r\nfolder='b'",
        '[[models]]\nname = "a"\nfolder = "a"\n[[models]]\nname = "b"\nfolder = "a\\"]#b"\n[limits]\nqueue = 40\n',
        '[[models]]\nname = """a"""\nfolder = "a"\n[[models]]\nfolder = "b"\nname = "b"\n',
        '# [[models]]\n[[models]]\n# name = "x"\nname = "模"\nfolder = "a"\n\n[[models]]\nfolder = "b"\nname = "b"',
    ],
)
def test_only_the_two_values_of_one_table_change(text: str, index: int) -> None:
    before, edited = tomllib.loads(text), with_model(text, "c.toml", index, NEW)
    before["models"][index] |= NEW
    assert tomllib.loads(edited) == before
    old = text.split("\n")
    changed = [(line, old[number]) for number, line in enumerate(edited.split("\n")) if line != old[number]]
    assert len(edited.split("\n")) == len(old)
    assert {line.split("=")[0].strip() for line, _ in changed} == {"name", "folder"}
    assert all(new.endswith(was[-3:]) for new, was in changed if "#" in was.replace("]#b", ""))


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_any_folder_name_survives_a_round_trip(folder: str) -> None:
    text = '[[models]]\nname = "a"  # here\nfolder = "a"  # there\n'
    edited = with_model(text, "c.toml", 0, {"name": "a", "folder": folder})
    assert tomllib.loads(edited)["models"] == [{"name": "a", "folder": folder}]
    assert edited.endswith("  # there\n")


def test_inline_tables_are_edited_in_place() -> None:
    text = 'models = [\n  {name = "a", folder = "a"}, # one\n  {folder = "b", name = "b"} ] # two\n'
    assert with_model(text, "c.toml", 1, NEW) == text.replace('"b"', '"models/new"', 1).replace('"b"', '"new"', 1)


def test_a_string_that_looks_like_a_table_is_not_edited() -> None:
    text = 'note = """\n[[models]]\nname = "x"\nfolder = "x"\n"""\n[[models]]\nname = "a"\nfolder = "a"\n'
    assert with_model(text, "c.toml", 0, NEW) == text[: text.index('[[models]]\nname = "a')] + (
        '[[models]]\nname = "new"\nfolder = "models/new"\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        '[[models]]\nname = "a"\nfolder = "a"\n[limits]\nqueue = 40\n[[models]]\nname = "b"\nfolder = "b"\n',
        '[[ models ]]\nname = "a"\nfolder = "a"\n[[models]]\nname = "b"\nfolder = "b"\n',
        '[[models]]\nname = """\na"""\nfolder = "a"\n',
        '[[models]]\nname = "a"\n',
    ],
)
def test_a_file_in_which_other_lines_would_move_is_rejected(text: str) -> None:
    assert error_line(text) == (
        "c.toml: models/0: cannot be edited without moving other lines, needed [[models]] tables one after another: "
        'write name = "new", folder = "models/new" there by hand, then run `make up`'
    )


def test_replacing_a_file_keeps_its_mode_and_link(tmp_path: Path) -> None:
    file, link = tmp_path / "real.toml", tmp_path / "cluster.toml"
    file.write_bytes(b"old\r\n")
    file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(file, 12345, 54321)
    link.symlink_to(file)
    before = file.stat()
    require_replaceable(link)
    replace_text(link, "old\r\n", "new 新\r\n")
    after = file.stat()
    assert (link.is_symlink(), file.read_bytes()) == (True, "new 新\r\n".encode())
    assert (stat.S_IMODE(after.st_mode), after.st_uid, after.st_gid) == (0o640, before.st_uid, before.st_gid)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cluster.toml", "real.toml"]


def test_a_file_that_changed_in_the_meantime_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "cluster.toml"
    file.write_text("theirs")
    with pytest.raises(CommandError) as error:
        replace_text(file, "old", "new")
    assert error.value.lines == (f"{file}: was changed in the meantime: it was left as it is",)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["theirs"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another account for a moment")
def test_a_file_that_cannot_be_replaced_is_reported_in_advance() -> None:
    with as_unprivileged(), pytest.raises(CommandError) as error:
        require_replaceable(Path("/cluster.toml"))
    assert error.value.lines == ("/cluster.toml: cannot be changed: needed a folder / that can be written",)
