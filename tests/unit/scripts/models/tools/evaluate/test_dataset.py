"""The images that an evaluation finds, and the class of each."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.models.tools.evaluate.classes import Classes, UnknownClass, is_imagenet_1k
from scripts.models.tools.evaluate.dataset import Dataset, read
from tests.folders import GREY, RED, image
from worker.models.labels import Labels
from worker.models.scores import Group, Output

IMAGENET = Path(__file__).parents[6] / "worker/imagenet"
PETS = {
    "en": ["golden retriever", "Cardigan", "cardigan", "3", "T-shirt"],
    "zh": ["金毛", "柯基", "开衫", "三", "Ｔ恤"],
}
TABBY, TENCH = 281, 0


def classes(names: Mapping[str, Sequence[str]], groups: tuple[Group, ...] = ()) -> Classes:
    return Classes(
        Output("softmax", Labels({language: tuple(lines) for language, lines in names.items()}), 5, 0, groups)
    )


def english() -> list[str]:
    return (IMAGENET / "imagenet-1k.en.txt").read_text(encoding="utf-8").splitlines()


def truths(found: Dataset) -> dict[str, int]:
    return {image.name: image.truth for image in found.images}


def unknown(found: Dataset) -> dict[str, tuple[int, str]]:
    return {name: (each.images, each.reason) for name, each in found.unknown.items()}


def save(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image(RED).save(path)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("golden retriever", 0),
        ("Golden_Retriever", 0),
        ("golden-retriever", 0),
        ("GoldenRetriever", 0),
        ("金毛", 0),
        ("Cardigan", 1),
        ("cardigan", 2),
        ("柯基", 1),
        ("3", 3),
        ("0", 0),
        ("004", 4),
        ("t shirt", 4),
        ("T恤", 4),
    ],
)
def test_a_class_is_found_by_its_label_in_any_language_or_its_index(name: str, index: int) -> None:
    assert classes(PETS).find(name) == index


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("horse", "the model has no such class"),
        ("5", "the model has no such class"),
        ("9" * 5000, "the model has no such class"),
        ("-1", "the model has no such class"),
        ("²", "the model has no such class"),
        ("", "the model has no such class"),
        ("CARDIGAN", "matches the classes 1, 2: use one of these numbers"),
        ("n02123045", "the model has no such class"),
    ],
)
def test_a_name_that_matches_no_class_or_several_is_refused(name: str, reason: str) -> None:
    with pytest.raises(UnknownClass) as caught:
        classes(PETS).find(name)
    assert str(caught.value) == reason


def test_an_attribute_is_not_a_class_unless_a_class_has_the_same_name() -> None:
    grouped = classes({"en": ["apple", "ripe", "ripe"]}, (Group("ripeness", (1,), "sigmoid"),))
    assert grouped.find("ripe") == 2
    alone = classes({"en": ["apple", "pear", "ripe"]}, (Group("ripeness", (2,), "sigmoid"),))
    for name in ("ripe", "2"):
        with pytest.raises(UnknownClass, match="an attribute of the model"):
            alone.find(name)


def test_only_models_of_imagenet_1k_know_synsets() -> None:
    model = classes({"en": english()})
    names = ("n02123045", "n02123045_tabby", "n01440764-tench", "tabby", "281")
    assert [model.find(name) for name in names] == [TABBY, TABBY, TENCH, TABBY, TABBY]
    assert model.synset("n02123045_17.JPEG") == "n02123045"
    assert model.synset("n021230451.JPEG") == model.synset("cat_n02123045.JPEG") == ""
    assert classes(PETS).synset("n02123045_17.JPEG") == ""
    with pytest.raises(UnknownClass, match=r"^n99999999 is not in ImageNet-1k$"):
        model.find("n99999999")


def test_synonyms_after_a_comma_are_ignored() -> None:
    longer = [f"{name}, {name} of a kind" for name in english()]
    assert is_imagenet_1k(Labels({"en": tuple(longer)}))
    assert classes({"en": longer}).find("tabby") == TABBY
    assert not is_imagenet_1k(Labels({"en": tuple(english()[1:] + english()[:1])}))
    assert not is_imagenet_1k(Labels({"en": tuple(english()[:-1])}))
    assert not is_imagenet_1k(Labels({"zh": tuple(english())}))


def test_class_folders_are_read_recursively_and_clutter_is_skipped(tmp_path: Path) -> None:
    for name in ("金毛/a.png", "3/deep/er/b.png", "3/.hidden.png", ".git/c.png", "__MACOSX/3/d.png", "3/@eaDir/e.png"):
        save(tmp_path / name)
    for name in ("3/Thumbs.db", "3/.DS_Store", "desktop.ini"):
        (tmp_path / name).write_text("clutter")
    found = read(tmp_path, classes(PETS))
    assert truths(found) == {"3/deep/er/b.png": 3, "金毛/a.png": 0}
    assert (found.unknown, found.broken, found.not_images) == ({}, [], [])


def test_other_files_and_images_without_a_class_are_listed(tmp_path: Path) -> None:
    for name in ("horse/a.png", "horse/b.png", "alone.png", "3/good.png"):
        save(tmp_path / name)
    (tmp_path / "3/notes.txt").write_text("not an image")
    (tmp_path / "3/renamed").write_bytes((tmp_path / "3/good.png").read_bytes())
    (tmp_path / "3/lost.png").symlink_to("nowhere.png")
    (tmp_path / "3/broken.jpg").write_text("found to be broken only when it is decoded")
    os.mkfifo(tmp_path / "3/pipe.png")
    found = read(tmp_path, classes(PETS))
    assert truths(found) == {"3/good.png": 3, "3/renamed": 3, "3/broken.jpg": 3}
    assert unknown(found) == {
        "": (1, "in no class folder and without a label"),
        "horse": (2, "the model has no such class"),
    }
    assert [skipped.file for skipped in found.not_images] == ["3/notes.txt"]
    assert [(skipped.file, skipped.reason) for skipped in found.broken] == [
        ("3/lost.png", "no such file"),
        ("3/pipe.png", "not a file"),
    ]


def test_files_named_after_synsets_need_no_class_folders(tmp_path: Path) -> None:
    for name in ("n02123045_1.png", "n01440764_tench.png", "n99999999_x.png", "cat.png"):
        save(tmp_path / name)
    found = read(tmp_path, classes({"en": english()}))
    assert truths(found) == {"n01440764_tench.png": TENCH, "n02123045_1.png": TABBY}
    assert unknown(found)["n99999999"] == (1, "n99999999 is not in ImageNet-1k")
    assert unknown(found)[""][0] == 1
    assert truths(read(tmp_path, classes(PETS))) == {}


@pytest.mark.parametrize(
    "text",
    [
        "file,label\na b.png,金毛\nsub/b.png,3\n",
        "\ufefffile,label\r\na b.png,金毛\r\n\r\nsub/b.png,3\r\n",
        "a b.png,golden retriever\nsub\\b.png,3\n",
        "id;Label;File\n1;金毛;a b.png\n2; 3 ;sub/b.png\n",
        '图片\t标签\n"a b.png"\t金毛\n{folder}/sub/b.png\t3',
    ],
)
def test_a_csv_file_names_files_and_labels(tmp_path: Path, text: str) -> None:
    for name in ("a b.png", "sub/b.png"):
        save(tmp_path / name)
    (tmp_path / "labels.csv").write_text(text.replace("{folder}", str(tmp_path)), encoding="utf-8", newline="")
    found = read(tmp_path / "labels.csv", classes(PETS))
    assert [image.truth for image in found.images] == [0, 3]
    assert [image.path.resolve() for image in found.images] == [tmp_path / "a b.png", tmp_path / "sub/b.png"]
    assert (found.unknown, found.broken, found.not_images) == ({}, [], [])


def test_invalid_rows_of_a_csv_file_are_listed(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    long = "x" * 5000
    rows = ["file,label", "a.png,3", "missing.png,3", "a.png", "a.png,horse", "a.png,", f"{long},3", ".,3", "nul\0,3"]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    found = read(tmp_path / "labels.csv", classes(PETS))
    assert truths(found) == {"a.png": 3}
    assert unknown(found) == {
        "horse": (1, "the model has no such class"),
        "": (1, "in no class folder and without a label"),
    }
    assert [(skipped.file, skipped.reason) for skipped in found.broken] == [
        ("missing.png", "no such file"),
        ("labels.csv, line 4", "found 1 column, needed file,label"),
        (long, "File name too long"),
        (".", "not a file"),
        ("nul\0", "no such file"),
    ]


def test_an_invalid_csv_file_is_refused(tmp_path: Path) -> None:
    image(GREY).save(tmp_path / "image.jpg")
    (tmp_path / "long.csv").write_text("a.png," + "x" * 200_000)
    with pytest.raises(CommandError) as caught:
        read(tmp_path / "image.jpg", classes(PETS))
    assert str(caught.value) == (
        f"IMAGES: {tmp_path}/image.jpg: byte 0 is not UTF-8: needed a folder, or a CSV file of file,label "
        "saved as UTF-8"
    )
    with pytest.raises(
        CommandError, match=r"long.csv: line 1: field larger than field limit \(131072\): needed file,label$"
    ):
        read(tmp_path / "long.csv", classes(PETS))
