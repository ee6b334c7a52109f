"""What a folder teaches: its classes, its split, and what is not enough."""

from pathlib import Path

import pytest
from PIL import Image

from scripts.base.errors import CommandError
from scripts.models.tools.teach import images
from scripts.models.tools.teach.duplicates import leave_out_copies


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
    assert [one.file for one in lesson.skipped] == ["."]


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
