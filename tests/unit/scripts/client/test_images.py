"""Which images `make classify` sends."""

import io
import os
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.client.images import find

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (b"b.JPG", b"a b.png", b"sub/c.heic", b"[1].gif", b"line\nbreak.bmp", b"\xff.tif", b"notes.txt"):
        path = os.path.join(os.fsencode(tmp_path), b"in", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(os.fsdecode(path)).write_bytes(b"")
    for text, data in {"noext": PNG, "README": b"text", ".DS_Store": b"", "x.webp.part": b"RIFFxxxxWAVE"}.items():
        (tmp_path / "in" / text).write_bytes(data)
    (tmp_path / "in/@eaDir").mkdir()
    (tmp_path / "in/@eaDir/thumb.jpg").touch()
    os.mkfifo(tmp_path / "in/pipe.jpg")
    return tmp_path


INSIDE = ["in/[1].gif", "in/a b.png", "in/b.JPG", "in/line\nbreak.bmp", "in/noext", "in/\udcff.tif", "in/sub/c.heic"]


@pytest.mark.parametrize("asked", ["in", "./in/", "in/../in", "in in/sub", "in in"])
def test_a_folder_s_images_are_found_in_order_and_once(folder: Path, asked: str) -> None:
    (folder / "in/loop").symlink_to(folder / "in")
    found = find(asked)
    assert list(found.images) == INSIDE
    assert sorted(set(found.passed_over)) == ["in/README", "in/notes.txt", "in/pipe.jpg", "in/x.webp.part"]


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("in/b.JPG", ["in/b.JPG"]),
        ("in/notes.txt", ["in/notes.txt"]),
        ("in/a b.png", ["in/a b.png"]),
        ("in/[1].gif", ["in/[1].gif"]),
        ("in/*.png", ["in/a b.png"]),
        ("in/**/*.heic", ["in/sub/c.heic"]),
        ("in/b.JPG 'in/a b.png' in/su*", ["in/b.JPG", "in/a b.png", "in/sub/c.heic"]),
    ],
)
def test_files_globs_and_several_of_them(folder: Path, asked: str, names: list[str]) -> None:
    assert list(find(asked).images) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"in/b.JPG\nin/gone.jpg\n\n", ["in/b.JPG", "in/gone.jpg"]),
        (b"in/b.JPG\r\nin/\xff.tif", ["in/b.JPG", "in/\udcff.tif"]),
        (b"in/line\nbreak.bmp\0in/a b.png\0", ["in/line\nbreak.bmp", "in/a b.png"]),
        (b"in/sub\n./in/sub/c.heic\n", ["in/sub/c.heic"]),
    ],
)
def test_a_list_on_standard_input(folder: Path, monkeypatch: pytest.MonkeyPatch, text: bytes, names: list[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert list(find("-").images) == names


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ("", "IMAGES: found nothing, needed a file"),
        ("nowhere", "nowhere: found no such file or folder, needed one"),
        ("no where", "no where: found no such file or folder|no: found no such"),
        ("in/b.JPG nowhere", "nowhere: found no such file or folder"),
        ("in/*.xyz", r"in/\*.xyz: found no file that the pattern matches"),
        ("empty", "empty: found no image, needed one"),
        ("texts", "texts: found no image but 1 other files, needed one"),
        ("'", "': found no such file or folder"),
    ],
)
def test_what_holds_no_image_is_one_line(folder: Path, asked: str, fault: str) -> None:
    (folder / "empty").mkdir()
    (folder / "texts").mkdir()
    (folder / "texts/a.txt").touch()
    with pytest.raises(CommandError, match=fault):
        find(asked)


def test_files_that_are_passed_over_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "in/results.csv").touch()
    find("in").warn_of_others(folder / "in/results.csv")
    assert capsys.readouterr().err == (
        "!! passed over 4 files that are no images: in/README, in/notes.txt, in/pipe.jpg, in/x.webp.part\n"
    )
