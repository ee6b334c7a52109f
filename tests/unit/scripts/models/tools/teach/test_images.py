"""What a folder teaches: its classes, its split, and what is not enough."""

from pathlib import Path

import pytest
from PIL import Image

from scripts.base.errors import CommandError
from scripts.models.tools.teach import images, kept
from scripts.models.tools.teach.duplicates import leave_out_copies
from scripts.models.tools.teach.images import Example
from worker.models.labels import Labels


def fill(path: Path, *colours: int) -> Path:
    """Make an image of each grey level in the folder `path`."""
    path.mkdir(parents=True, exist_ok=True)
    for colour in colours:
        Image.new("L", (8, 8), colour).save(path / f"{colour}.png")
    return path


def lines(source: Path) -> list[str]:
    with pytest.raises(CommandError) as caught:
        images.read(source)
    return [line.replace(f"IMAGES: {source}: ", "") for line in caught.value.lines]


def test_each_folder_is_a_class_and_other_files_are_named(tmp_path: Path) -> None:
    fill(tmp_path / "猫_cat", 1, 2)
    fill(tmp_path / "狗_dog/of 2026", 3, 4)
    fill(tmp_path, 9)
    (tmp_path / "猫_cat/3.png").write_bytes(b"")
    lesson = images.read(tmp_path)
    assert lesson.labels.names == {"zh": ("狗", "猫"), "en": ("dog", "cat")}
    assert [(one.name, one.truth, one.held_out) for one in lesson.examples] == [
        ("狗_dog/of 2026/3.png", 0, False), ("狗_dog/of 2026/4.png", 0, False),
        ("猫_cat/1.png", 1, False), ("猫_cat/2.png", 1, False), ("猫_cat/3.png", 1, False),
    ]  # fmt: skip
    assert [(one.file, one.reason) for one in lesson.skipped] == [
        (".", "1 image: in no class folder and without a label")
    ]


def test_a_folder_that_is_split_keeps_its_split(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        for number, name in enumerate(("a", "b")):
            fill(tmp_path / part / name, *(number * 100 + len(part) * 10 + each for each in range(2)))
    fill(tmp_path / "val/c", 250)
    lesson = images.read(tmp_path)
    assert lesson.labels.names == {"en": ("a", "b")}
    assert [one.held_out for one in lesson.examples] == [False] * 4 + [True] * 8
    assert [one.file for one in lesson.skipped] == ["val/c"]


def test_train_and_test_may_be_classes_of_their_own(tmp_path: Path) -> None:
    fill(tmp_path / "train", 1, 2)
    fill(tmp_path / "test", 3, 4)
    assert images.read(tmp_path).labels.names == {"en": ("test", "train")}


def test_hidden_folders_are_named_and_an_accent_is_one_character(tmp_path: Path) -> None:
    fill(tmp_path / "cafe\u0301", 1, 2)
    fill(tmp_path / "b", 3, 4)
    fill(tmp_path / ".rust", 5, 6)
    lesson = images.read(tmp_path)
    assert lesson.folders == ["b", "caf\u00e9"]
    assert [(one.file, one.reason) for one in lesson.skipped] == [(".rust", images.HIDDEN)]


def test_a_thousand_classes_are_read(tmp_path: Path) -> None:
    image = fill(tmp_path / "source", 1) / "1.png"
    for number in range(1200):
        (tmp_path / f"all/{number:04}").mkdir(parents=True)
        for copy in ("a.png", "b.png"):
            (tmp_path / f"all/{number:04}/{copy}").hardlink_to(image)
    assert images.read(tmp_path / "all").labels.count == 1200


def test_a_loop_of_links_is_named_and_not_followed(tmp_path: Path) -> None:
    for name, colours in (("a", (1, 2)), ("b", (3, 4))):
        fill(tmp_path / name, *colours)
    (tmp_path / "a/up").symlink_to("..")
    (tmp_path / "a/loop.png").symlink_to("loop.png")
    lesson = images.read(tmp_path)
    assert [one.name for one in lesson.examples] == ["a/1.png", "a/2.png", "b/3.png", "b/4.png"]
    assert [one.file for one in lesson.skipped] == ["a/loop.png"]


def test_what_is_added_goes_to_the_classes_that_are_known(tmp_path: Path) -> None:
    fill(tmp_path / "a", 1)
    fill(tmp_path / "c", 2)
    known = Labels({"zh": ("甲", "乙"), "en": ("a", "b")})
    lesson = images.read(tmp_path, ["a", "b"], known)
    assert lesson.labels.names == {"zh": ("甲", "乙", "c"), "en": ("a", "b", "c")}
    assert [one.truth for one in lesson.examples] == [0, 2]
    old = [Example(Path("gone.png"), name, 1, digest) for name, digest in (("a/1.png", "x"), ("b/2.png", "y"))]
    moved = Example(Path("gone.png"), "b/1.png", 1, lesson.examples[0].digest)
    kept.add(lesson, kept.Kept("photos", ["a", "b"], known, [*old, moved]), "more")
    assert [(one.name, one.truth) for one in lesson.examples] == [
        ("a/1.png", 1), ("b/2.png", 1), ("more/a/1.png", 0), ("more/c/2.png", 2)
    ]  # fmt: skip
    assert [(one.file, one.reason) for one in lesson.copies] == [("b/1.png", "is in the class 甲 a now")]


def test_what_is_not_enough_is_said(tmp_path: Path) -> None:
    needed = "needed a folder for each class, with at least 2 images in each"
    assert lines(tmp_path) == [f"found no folder with images, {needed}, and at least 2 classes"]
    fill(tmp_path / "a", 1, 2)
    assert lines(tmp_path)[0].startswith(f"found only the class a, {needed}")
    fill(tmp_path / "b", 3)
    assert lines(tmp_path) == [
        "found too few different images that can be read in b (1), needed at least 2 in each class: add images, or "
        "remove the folder"
    ]
    fill(tmp_path / "b", 4)
    (tmp_path / "c").mkdir()
    assert lines(tmp_path) == [f"found no image in c, {needed}: add images, or remove the folder"]


def test_copies_are_left_out_and_all_of_them_where_they_are_in_two_classes(tmp_path: Path) -> None:
    fill(tmp_path / "a", 1, 2, 3)
    fill(tmp_path / "b", 4, 5, 3)
    Image.new("L", (8, 8), 1).save(tmp_path / "a/again.png")
    lesson = images.read(tmp_path)
    leave_out_copies(lesson)
    assert [one.name for one in lesson.examples] == ["a/1.png", "a/2.png", "b/4.png", "b/5.png"]
    both = "the same image is in two classes: a/3.png and b/3.png: remove one"
    assert [(one.file, one.reason) for one in lesson.skipped] == [
        ("a/3.png", both), ("b/3.png", both),
    ]  # fmt: skip
    assert [(one.file, one.reason) for one in lesson.copies] == [("a/again.png", "the same image as a/1.png")]
